//! What verbs that compile policies take on the command line, and from where they run.

use std::env;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::launch::user::User;
use crate::policy::{Source, Variables};
use crate::policy_host;

/// Variables that are given on the command line.
#[derive(Debug, clap::Args)]
pub struct Given {
    /// Give the variable ${NAME} a value in policies. `home`, `user`, `uid` and `workspace` have
    /// those of the user and the directory that picket is called from, unless given.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = assignment)]
    pub variables: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there is no `=` in it; write NAME=VALUE")?;
    if !Variables::is_name(name) {
        let rule = "begins with a letter and goes on with letters, digits, `_` and `-`";
        return Err(format!("`{name}` is no name for a variable, which {rule}"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl Given {
    /// The variables that are given, and the usual ones of the calling user.
    ///
    /// # Errors
    /// If the current directory or a name cannot be had.
    pub fn variables(&self) -> anyhow::Result<Variables> {
        let workspace = env::current_dir().context("cannot tell the current directory")?;
        let mut variables = match User::behind_sudo()?.map_or_else(User::current, Ok) {
            Ok(user) => {
                let home = PathBuf::from(&user.home);
                policy_host::variables(&user.name, user.uid, &home, &workspace)?
            }
            // A user without an entry, as containers have them: only what is certain is given.
            Err(_) => {
                let mut variables = Variables::default();
                variables.set("workspace", workspace.display().to_string());
                if let Ok(home) = env::var("HOME") {
                    variables.set("home", home);
                }
                variables
            }
        };
        for (name, value) in &self.variables {
            variables.set(name, value);
        }
        Ok(variables)
    }
}

/// Reads a policy; `-` is standard input.
///
/// # Errors
/// If it cannot be read, or is not UTF-8.
pub fn source(path: &Path) -> io::Result<Source> {
    if path != Path::new("-") {
        return policy_host::read_source(path);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(Source { name: "<standard input>".to_owned(), text })
}
