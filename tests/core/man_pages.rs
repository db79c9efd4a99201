//! The man pages and the completions of shells in `packaging`. They are made from what the binary
//! prints, so they cannot differ from it: `UPDATE=1 cargo test --test core man_pages`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use statsd::admin;
use statsd::args::{HELP, USAGE};
use statsd::config::{self, KEYS};

/// Fails if a file of `packaging` is not this text, or writes it if `UPDATE` is set.
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "is stale: run UPDATE=1 cargo test --test core man_pages";
    assert!(found == text, "{} {hint}", path.display());
}

/// Returns text for roff: a backslash, a hyphen, and a dot or quote at the start are special.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// Returns lines as they are, without filling.
fn verbatim<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let lines: String = lines.into_iter().map(|line| roff(line) + "\n").collect();
    format!(".nf\n{lines}.fi\n")
}

/// Returns paragraphs as they are filled. Lines that are indented are a table or an example, and
/// stay as they are.
fn paragraphs(lines: &[&str]) -> String {
    let mut text = String::new();
    let mut indented: Vec<&str> = Vec::new();
    for line in lines.iter().chain([&""]) {
        if line.starts_with("  ") {
            indented.push(line);
            continue;
        }
        if !indented.is_empty() {
            text += &verbatim(std::mem::take(&mut indented));
        }
        if line.starts_with("Example: ") {
            text += ".br\n";
        }
        text += &if line.is_empty() { ".sp\n".into() } else { format!("{}\n", roff(line)) };
    }
    // Nothing is below the last paragraph.
    text.trim_end_matches(".sp\n").into()
}

fn head(title: &str, section: u8, what: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let name = title.to_ascii_uppercase();
    format!(
        ".\\\" Made from the program: UPDATE=1 cargo test --test core man_pages\n\
         .TH {name} {section} \"\" \"statsd {version}\"\n.SH NAME\n{title} \\- {what}\n"
    )
}

/// An option of the usage: how it is written, and its text.
struct CommandOption {
    written: String,
    text: String,
}

/// Reads the options from the usage. The text of one begins at column 30, and goes on below.
fn options() -> Vec<CommandOption> {
    let mut options: Vec<CommandOption> = Vec::new();
    for line in USAGE.lines().filter(|line| line.starts_with("  ")) {
        let (start, text) = line.split_at_checked(30).unwrap_or((line, ""));
        let written = start.trim();
        if written.starts_with('-') {
            let text = text.trim_end().to_owned();
            options.push(CommandOption { written: written.into(), text });
        } else if let Some(last) = options.last_mut().filter(|_| start.trim().is_empty()) {
            last.text += &format!(" {}", text.trim());
        }
    }
    options
}

#[test]
fn the_page_of_the_program_has_the_options_and_all_of_the_help() {
    let options = options();
    let mut page = head("statsd", 8, "StatsD server");
    page += ".SH SYNOPSIS\n";
    let usage = USAGE.lines().skip_while(|line| !line.starts_with("Usage: "));
    let usage = usage.take_while(|line| !line.is_empty()).map(|line| match line.get(7..) {
        Some(rest) => rest.trim_end(),
        None => "",
    });
    page += &verbatim(usage);
    let about: Vec<_> = USAGE.lines().take_while(|line| !line.is_empty()).collect();
    let _ = write!(page, ".SH DESCRIPTION\n{}", paragraphs(&about));
    page += ".SH OPTIONS\n";
    for CommandOption { written, text } in &options {
        let _ = write!(page, ".TP\n.B {}\n{}\n", roff(written), roff(text));
    }
    let help: Vec<_> = HELP.lines().collect();
    let mut blocks = help.split(|line| line.is_empty()).peekable();
    while let Some(block) = blocks.next() {
        let (first, rest) = block.split_first().expect("no two empty lines follow each other");
        let heading = first.strip_suffix(':').filter(|first| !first.contains(','));
        page += &match heading {
            Some(heading) => {
                format!(".SH {}\n{}", heading.to_ascii_uppercase(), paragraphs(rest))
            }
            None if blocks.peek().is_none() => {
                let summaries = admin::summaries();
                format!(".SH ADMIN PORT\n{}\n{}", roff(first), verbatim(summaries.lines()))
            }
            None => format!(".PP\n{}", paragraphs(block)),
        };
    }
    page += ".SH SEE ALSO\n.BR statsd.conf (5)\n";
    for option in ["-c", "-o", "--check", "--ask", "--help"] {
        let is_here = |known: &CommandOption| known.written.contains(option);
        assert!(options.iter().any(is_here), "{option}");
    }
    check("man/statsd.8", &page);
}

/// Returns the text of comment lines.
fn comment(line: &str) -> Option<&str> {
    let text = line.strip_prefix('#')?;
    text.strip_prefix(' ').or_else(|| text.is_empty().then_some(""))
}

#[test]
fn the_page_of_the_configuration_has_every_section_and_key() {
    let example = config::example();
    let mut page = head("statsd.conf", 5, "configuration of the StatsD server");
    page += ".SH DESCRIPTION\n";
    let mut chapters = example.split("\n\n\n");
    let preface = chapters.next().unwrap_or_default();
    let preface: Vec<_> = preface.lines().skip(2).filter_map(comment).collect();
    page += &paragraphs(&preface);
    let mut keys = 0;
    for chapter in chapters {
        let mut blocks = chapter.split("\n\n");
        let about = blocks.next().unwrap_or_default();
        let is_text = |line: &&str| !line.starts_with('=');
        let about: Vec<_> = about.lines().filter_map(comment).filter(is_text).collect();
        let header = about[0].split(':').next().unwrap_or_default();
        let _ = write!(page, ".SH \"{}\"\n{}", roff(header), paragraphs(&about));
        for block in blocks {
            let is_setting = |line: &&str| comment(line).is_none();
            let texts: Vec<_> = block.lines().filter_map(comment).collect();
            let mut settings: Vec<_> = block.lines().filter(is_setting).collect();
            keys += settings.iter().filter(|line| !line.starts_with("#[")).count();
            // A section that is turned off is an example as a whole.
            if settings.first().is_some_and(|line| line.starts_with("#[")) {
                let _ = write!(page, ".PP\n{}{}", paragraphs(&texts), verbatim(settings));
                continue;
            }
            let last = settings.pop();
            for setting in settings {
                let _ = write!(page, ".TP\n.PD 0\n.B {}\n", roff(setting.trim_start_matches('#')));
            }
            if let Some(last) = last {
                let last = roff(last.trim_start_matches('#'));
                let _ = write!(page, ".TP\n.PD\n.B {last}\n{}", paragraphs(&texts));
            }
        }
    }
    page += ".SH SEE ALSO\n.BR statsd (8)\n";
    assert!(keys >= KEYS.iter().map(|key| key.uses.len()).sum(), "{keys}");
    check("man/statsd.conf.5", &page);
}

/// What follows an option.
#[derive(Clone, Copy, PartialEq)]
enum Argument {
    Nothing,
    File,
    Setting,
    Command,
    Time,
    /// It may be left out, and has this value otherwise.
    Optional(&'static str),
}

/// An option as a shell completes it.
struct Completion {
    /// One, or a short and a long one.
    names: Vec<String>,
    argument: Argument,
    text: String,
}

impl Completion {
    /// The options of the usage, and those that only its texts name.
    fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for CommandOption { written, text } in options() {
            let (written, value) = match written.split_once('=') {
                Some((name, value)) if !name.contains(' ') => (name.to_owned(), value.to_owned()),
                _ => (written, String::new()),
            };
            let (names, words): (Vec<_>, Vec<_>) =
                written.split([',', ' ']).partition(|word| word.starts_with('-'));
            let names: Vec<String> = names.into_iter().map(Into::into).collect();
            let argument = match words.iter().rfind(|word| !word.is_empty()) {
                Some(&"FILE" | &"NEW") => Argument::File,
                Some(&"COMMAND") => Argument::Command,
                Some(word) if word.contains("KEY=VALUE") => Argument::Setting,
                Some(word) => panic!("how is {word} completed?"),
                None => Argument::Nothing,
            };
            if let Some(known) = all.iter_mut().find(|known| known.names == names) {
                assert_eq!(value, "example");
                known.argument = Argument::Optional("example");
                continue;
            }
            let first = text.split([';', ':']).next().unwrap_or_default().to_owned();
            all.push(Self { names, argument, text: first });
            for (name, argument, what) in [
                ("--strict", Argument::Nothing, "a warning is a mistake, too"),
                ("--every", Argument::Time, "again and again"),
            ] {
                if text.contains(name) {
                    assert!(text.contains(what), "{text}");
                    all.push(Self { names: vec![name.into()], argument, text: what.into() });
                }
            }
        }
        let named: BTreeSet<_> = all.iter().flat_map(|option| &option.names).collect();
        let words = USAGE.split([' ', '[', ']', '=', ',', ';', ':', '\n']);
        for word in words.filter(|word| word.starts_with('-') && *word != "-u") {
            assert!(named.contains(&word.to_owned()), "{word} is not completed");
        }
        all
    }

    /// The names as a `case` of a shell has them.
    fn case(&self) -> String {
        self.names.join("|")
    }
}

/// Returns `SECTION.KEY=` for each key of a section that needs no name.
fn settings() -> Vec<String> {
    let all = KEYS.iter().flat_map(|key| key.uses.iter().map(|at| (at.section, key.name)));
    let all: BTreeSet<_> = all.map(|(section, key)| format!("{section}.{key}=")).collect();
    all.into_iter().collect()
}

fn commands() -> Vec<String> {
    let summaries = admin::summaries();
    summaries.lines().filter_map(|line| line.split_whitespace().next().map(Into::into)).collect()
}

const MADE: &str = "# Made from the program: UPDATE=1 cargo test --test core man_pages\n";

#[test]
fn bash_completes_options_settings_commands_and_files() {
    let all = Completion::all();
    let words: Vec<_> = all.iter().flat_map(|option| option.names.clone()).collect();
    let of = |wanted| {
        let cases = all.iter().filter(|option| option.argument == wanted).map(Completion::case);
        cases.collect::<Vec<_>>().join("|")
    };
    let forms: Vec<_> = all
        .iter()
        .filter_map(|option| match option.argument {
            Argument::Optional(value) => Some((option.case(), value)),
            _ => None,
        })
        .collect();
    let [(form, value)] = forms.as_slice() else { panic!("{} options have forms", forms.len()) };
    let list = |words: &str| format!("mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$word\")");
    let everything = list(&format!("{} {form}={value}", words.join(" ")));
    let files = "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\")";
    let script = format!(
        "{MADE}\
         _statsd() {{\n    \
             # bash makes a word of the = in --option=value.\n    \
             local at=$COMP_CWORD word=${{COMP_WORDS[COMP_CWORD]}} equals=\n    \
             if [[ $word == = ]]; then word=; else ((at -= 1)); fi\n    \
             if [[ ${{COMP_WORDS[at]}} == = ]]; then equals==; ((at -= 1)); fi\n    \
             [[ $at -gt 1 && ${{COMP_WORDS[at-1]}} == --compare ]] && ((at -= 1))\n    \
             COMPREPLY=()\n    \
             case ${{COMP_WORDS[at]}} in\n    \
             {}) {files} ;;\n    \
             {}) compopt -o nospace; {} ;;\n    \
             {}) {} ;;\n    \
             {}) ;;\n    \
             {form}) if [[ $equals ]]; then {}; else {everything}; fi ;;\n    \
             *) {everything} ;;\n    \
             esac\n\
         }}\n\
         complete -F _statsd statsd\n",
        of(Argument::File),
        of(Argument::Setting),
        list(&settings().join(" ")),
        of(Argument::Command),
        list(&commands().join(" ")),
        of(Argument::Time),
        list(value),
    );
    check("completions/statsd.bash", &script);
}

#[test]
fn zsh_completes_options_settings_commands_and_files() {
    let mut script = format!(
        "#compdef statsd\n{MADE}\
         local settings=({})\nlocal commands=({})\n_arguments -s -S",
        settings().join(" "),
        commands().join(" "),
    );
    for Completion { names, argument, text } in Completion::all() {
        // Each of these ends a part of the specification of an option.
        let text = text.replace('\'', "\'\\\'\'").replace('[', "\\[").replace(']', "\\]");
        let (mark, value) = match argument {
            Argument::Nothing => ("", String::new()),
            Argument::File => ("", ":file:_files".into()),
            Argument::Setting => ("", ":setting:{ compadd -S \"\" -a settings }".into()),
            Argument::Command => ("", ":command:{ compadd -a commands }".into()),
            Argument::Time => ("", ":time: ".into()),
            Argument::Optional(value) => ("=-", format!("::form:({value})")),
        };
        script += " \\\n    ";
        script += &match &names[..] {
            [name] if argument == Argument::Setting => format!("'*{name}[{text}]{value}'"),
            [name] if name == "--compare" => format!("'{name}[{text}]{value}{value}'"),
            [name] => format!("'{name}{mark}[{text}]{value}'"),
            names => format!("'({})'{{{}}}'[{text}]{value}'", names.join(" "), names.join(",")),
        };
    }
    check("completions/_statsd", &(script + "\n"));
}

#[test]
fn fish_completes_options_settings_commands_and_files() {
    let mut script = MADE.to_owned();
    for Completion { names, argument, text } in Completion::all() {
        script += "complete -c statsd";
        for name in names {
            script += &match name.strip_prefix("--") {
                Some(long) => format!(" -l {long}"),
                None => format!(" -s {}", name.trim_start_matches('-')),
            };
        }
        script += &match argument {
            Argument::Nothing => " -f".into(),
            Argument::File => " -r -F".into(),
            Argument::Setting => format!(" -x -a '{}'", settings().join(" ")),
            Argument::Command => format!(" -x -a '{}'", commands().join(" ")),
            Argument::Time => " -x".into(),
            Argument::Optional(value) => format!(" -f -a {value}"),
        };
        let _ = writeln!(script, " -d '{}'", text.replace('\'', "\\'"));
    }
    check("completions/statsd.fish", &script);
}
