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

/// Returns the long options, and the short ones.
fn names() -> (Vec<String>, Vec<String>) {
    let is_part = |letter: char| letter == '-' || letter.is_ascii_alphanumeric();
    let mut names: Vec<String> = Vec::new();
    for option in options() {
        // Those that a text names, such as --strict, are options as well.
        let all = format!("{} {}", option.written, option.text);
        let words = all.split(|letter| !is_part(letter)).filter(|word| word.starts_with('-'));
        names.extend(words.map(|word| word.into()));
    }
    names.sort();
    names.dedup();
    names.into_iter().partition(|name| name.starts_with("--"))
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

#[test]
fn the_shells_complete_options_settings_and_commands() {
    let (long, short) = names();
    let words = [short, long].concat().join(" ");
    let (settings, commands) = (settings().join(" "), commands().join(" "));
    let made = "Made from the program: UPDATE=1 cargo test --test core man_pages";
    check(
        "completions/statsd.bash",
        &format!(
            "# {made}\n\
             _statsd() {{\n    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n    \
             COMPREPLY=()\n    case $before in\n    -c|--config)\n        compopt -o filenames\n        \
             mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n    -o)\n        \
             compopt -o nospace\n        mapfile -t COMPREPLY < <(compgen -W '{settings}' -- \"$word\") ;;\n    \
             --ask)\n        mapfile -t COMPREPLY < <(compgen -W '{commands}' -- \"$word\") ;;\n    \
             *)\n        mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$word\") ;;\n    esac\n}}\n\
             complete -F _statsd statsd\n"
        ),
    );
    check(
        "completions/_statsd",
        &format!(
            "#compdef statsd\n# {made}\n\
             local before=${{words[CURRENT-1]}}\ncase $before in\n-c|--config) _files ;;\n\
             -o) compadd -S '' -- {settings} ;;\n--ask) compadd -- {commands} ;;\n\
             *) compadd -- {words} ;;\nesac\n"
        ),
    );
    let mut fish = format!("# {made}\n");
    for option in options() {
        let names = option.written.split(", ").map(|name| name.split([' ', '=']).next());
        let mut flags = String::new();
        for name in names.flatten() {
            flags += &match name.strip_prefix("--") {
                Some(long) => format!(" -l {long}"),
                None => format!(" -s {}", name.trim_start_matches('-')),
            };
        }
        let values = match option.written.as_str() {
            written if written.contains("FILE") => " -r -F".into(),
            written if written.contains("KEY=VALUE") => format!(" -x -a '{settings}'"),
            written if written.contains("COMMAND") => format!(" -x -a '{commands}'"),
            _ => " -f".to_owned(),
        };
        let text = option.text.split([';', ':']).next().unwrap_or_default().replace('\'', "\\'");
        let line = format!("complete -c statsd{flags}{values} -d '{text}'\n");
        if !fish.contains(&line) {
            fish += &line;
        }
    }
    check("completions/statsd.fish", &fish);
}
