//! As much JSON as the server and graphite-web write: objects, lists, numbers, strings and null.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Number(f64),
    String(String),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl Json {
    /// One value and nothing behind it but white space. A repeated name is an error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let value = reader.value()?;
        reader.space();
        if reader.rest.is_empty() { Ok(value) } else { Err(format!("trailing {:?}", reader.rest)) }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Json, String> {
        if self.take('{') {
            return self.object();
        }
        if self.take('[') {
            return self.list();
        }
        if self.rest.starts_with('"') {
            return self.string().map(Json::String);
        }
        if let Some(rest) = self.rest.strip_prefix("null") {
            self.rest = rest;
            return Ok(Json::Null);
        }
        let end = self.rest.find(|c: char| !"+-.eE".contains(c) && !c.is_ascii_digit());
        let (number, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        number.parse().map(Json::Number).map_err(|_| format!("no value at {number:?}{rest:?}"))
    }

    fn object(&mut self) -> Result<Json, String> {
        let mut object = BTreeMap::new();
        while !self.take('}') {
            if !object.is_empty() {
                self.expect(',')?;
            }
            let name = self.string()?;
            self.expect(':')?;
            let value = self.value()?;
            if object.insert(name.clone(), value).is_some() {
                return Err(format!("{name:?} twice"));
            }
        }
        Ok(Json::Object(object))
    }

    fn list(&mut self) -> Result<Json, String> {
        let mut list = Vec::new();
        while !self.take(']') {
            if !list.is_empty() {
                self.expect(',')?;
            }
            list.push(self.value()?);
        }
        Ok(Json::List(list))
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut string = String::new();
        loop {
            match self.character()? {
                '"' => return Ok(string),
                '\\' => string.push(self.escape()?),
                control if control < ' ' => return Err(format!("unescaped {control:?}")),
                plain => string.push(plain),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.character()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let digits = self.rest.get(..4).ok_or("a short \\u")?;
                self.rest = &self.rest[4..];
                let code = u32::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
                char::from_u32(code).ok_or("a surrogate")?
            }
            itself => itself,
        })
    }

    fn character(&mut self) -> Result<char, String> {
        let character = self.rest.chars().next().ok_or("an open string")?;
        self.rest = &self.rest[character.len_utf8()..];
        Ok(character)
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(format!("no {mark:?} at {:?}", self.rest)) }
    }

    fn take(&mut self, mark: char) -> bool {
        self.space();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                self.space();
                true
            }
            None => false,
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}
