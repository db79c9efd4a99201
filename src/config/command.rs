//! Commands for the shell, as the file writes them. Pure.

use super::value::Kind;

/// The whole rest of the line, quotes and `#` included: they are the shell's. Empty: none.
pub(super) struct CommandLine;

impl Kind<String> for CommandLine {
    fn read(&self, text: &str) -> Result<String, String> {
        match text.contains('\0') {
            true => Err("expected a command without NUL".into()),
            false => Ok(text.into()),
        }
    }

    fn show(&self, command: &String) -> String {
        command.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{config, mistakes};
    use super::super::render;

    #[test]
    fn a_command_is_taken_as_it_stands_and_shown_as_it_is_taken() {
        let text = "[exec]\ncommand =  awk '{ print \"#\" $1; }' | tee \"a b\"  # c \n\
                    [exec.b]\ncommand = # off\n[exec.c]\ntimeout = 1m\ncommand =\"cat\" > c\n";
        let read = config(text);
        let commands: Vec<_> =
            read.execs.iter().map(|exec| (&exec.name[..], &exec.command[..])).collect();
        let expected =
            [("exec", "awk '{ print \"#\" $1; }' | tee \"a b\"  # c"), ("exec.c", "\"cat\" > c")];
        assert_eq!(commands, expected);
        assert_eq!(config(&render(&read)), read);
        assert_eq!(config("").execs, []);
    }

    #[test]
    fn a_further_one_needs_a_command() {
        assert_eq!(
            mistakes("[exec.a]\ntimeout = 1s"),
            ["t.conf:1: [exec.a] command: expected a command, it has no default"]
        );
        assert_eq!(mistakes("[exec]\ncommand = a\0b").len(), 1);
    }
}
