//! The command line: what there is to say, and what each part of it means.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::commands;
use super::ddl::{self, DdlCommand};
use super::drift::{self, SchemaCommand};
use super::migrate::{self, MigrateCommand};
use super::on_call::{self, IncidentCommand, ShardCommand};

// What the commands' --help ends with.
const SERVE_HELP: &str = "\
Examples:
  bulkhead serve --config bulkhead.toml

The log goes to standard error. Passwords come from the environment variables
that the config names.";
const CHECK_HELP: &str = "\
Examples:
  bulkhead check --config bulkhead.toml
  bulkhead check --config bulkhead.toml --live --json

Ends with 1 when there is a fault; warnings alone are none.";
const EXPLAIN_HELP: &str = "\
Examples:
  bulkhead explain -d shop \"SELECT * FROM orders WHERE workspace_id = 7\"
  bulkhead explain -d ws_42 \"SELECT * FROM issues\"

EXPLAIN ROUTE on a running proxy's admin port also names shard and cluster.";
const WORKSPACE_HELP: &str = "\
Examples:
  bulkhead workspace create workspaces 301 --provision
  bulkhead workspace import workspaces < rows.csv
  bulkhead workspace set-state workspaces 301 read_only

While a proxy runs it holds the store: use its admin port,
  bulkhead admin 'CREATE WORKSPACE workspaces 301 WITH DATABASE'";
const ADMIN_HELP: &str = "\
Examples:
  bulkhead admin HELP
  bulkhead admin 'SHOW SHARDS'
  bulkhead admin --json 'SHOW POOLS'
  bulkhead admin 'EXPLAIN ROUTE FOR shop SELECT 1'";
const SHARD_HELP: &str = "\
Examples:
  bulkhead shard status
  bulkhead shard freeze-ddl c3 --why 'a flood of ALTERs'
  bulkhead shard drain c3 --why 'writes stall' --dry-run
  bulkhead shard failover c3 --why 'it does not recover' --dry-run
  bulkhead shard undrain c3 --why 'it is well again'

Ends with 1 when the order is not followed.";
const INCIDENT_HELP: &str = "\
Examples:
  bulkhead incident show
  bulkhead incident show c3 --since 2h";
const PASSWORD_HELP: &str = "\
Example:
  printf '%s' \"$PASSWORD\" | bulkhead password";

/// A MySQL-protocol sharding proxy: routes every statement by workspace to the right cluster.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version, about, max_term_width = 100)]
#[command(
    after_help = "Start here:\n  bulkhead check --config bulkhead.toml --live\n  bulkhead serve --config \
                        bulkhead.toml\n  mysql -h 127.0.0.1 -P 3307 -u app -p"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the config is; part of most commands.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The main config file.
    #[arg(short, long, env = "BULKHEAD_CONFIG", default_value = "bulkhead.toml")]
    pub config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the proxy until SIGTERM or SIGINT; SIGHUP reloads config and vschema.
    #[command(after_help = SERVE_HELP)]
    Serve {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Checks config and vschema files: every fault with file, line and column.
    #[command(after_help = CHECK_HELP)]
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Also asks the servers: reachable, roles, tables, columns, indexes.
        #[arg(long)]
        live: bool,
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Says where a statement would go, and why, without asking any server.
    #[command(after_help = EXPLAIN_HELP)]
    Explain {
        #[command(flatten)]
        config: ConfigArgs,
        /// The database the session has selected: a keyspace, or one workspace's database.
        #[arg(short, long)]
        database: Option<String>,
        /// The statement.
        sql: String,
    },
    /// Creates, shows and changes workspaces of a directory.
    #[command(after_help = WORKSPACE_HELP)]
    Workspace {
        #[command(subcommand)]
        command: WorkspaceCommand,
    },
    /// Runs one command on a running proxy's admin port, such as 'SHOW POOLS'.
    #[command(after_help = ADMIN_HELP)]
    Admin {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        login: AdminLogin,
        /// Prints JSON instead of a table.
        #[arg(long)]
        json: bool,
        /// The command; HELP lists all of them.
        statement: String,
    },
    /// Decides about schema changes: the rules, one statement, migration files in CI.
    #[command(after_help = ddl::DDL_HELP)]
    Ddl {
        #[command(subcommand)]
        command: DdlCommand,
    },
    /// Shows and drains shards, fails them over, freezes schema changes; by a running proxy's admin port.
    #[command(after_help = SHARD_HELP)]
    Shard {
        #[command(subcommand)]
        command: ShardCommand,
    },
    /// Shows what happened to a cluster, and what was done.
    #[command(after_help = INCIDENT_HELP)]
    Incident {
        #[command(subcommand)]
        command: IncidentCommand,
    },
    /// Changes all databases of a keyspace; shows schema changes and gives them commands; by a running
    /// proxy's admin port.
    #[command(after_help = migrate::MIGRATE_HELP, visible_alias = "migration")]
    Migrate {
        #[command(subcommand)]
        command: MigrateCommand,
    },
    /// Compares the tables of many databases.
    #[command(after_help = drift::SCHEMA_HELP)]
    Schema {
        #[command(subcommand)]
        command: SchemaCommand,
    },
    /// Hashes a password, read from standard input, for a user's `password_hash`.
    #[command(after_help = PASSWORD_HELP)]
    Password {
        /// The plugin to hash for.
        #[arg(long, value_enum, default_value = "caching-sha2")]
        plugin: Plugin,
    },
    /// Prints version and build.
    Version,
}

/// How to log in on the admin port; the password comes from the environment variable
/// `BULKHEAD_ADMIN_PASSWORD`.
#[derive(Debug, Args)]
pub struct AdminLogin {
    /// A user with `admin = true`.
    #[arg(short, long, env = "BULKHEAD_ADMIN_USER", default_value = "operator")]
    pub user: String,
}

/// Authentication plugins that a password can be hashed for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Plugin {
    /// `caching_sha2_password`.
    CachingSha2,
    /// `mysql_native_password`.
    Native,
}

/// What is common to the commands about workspaces. They work on the store's file; while a proxy runs, which
/// holds the file, use its admin port: `bulkhead admin 'CREATE WORKSPACE …'`.
#[derive(Debug, Args)]
pub struct WorkspaceArgs {
    /// Where the config is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The keyspace.
    pub keyspace: String,
}

/// What is done with workspaces.
#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    /// Creates workspaces: enters them in the directory, and with --provision makes their databases.
    Create {
        /// Config and keyspace.
        #[command(flatten)]
        args: WorkspaceArgs,
        /// Workspace ids, or ranges of numbers such as 1..300.
        #[arg(required = true)]
        ids: Vec<String>,
        /// The shard; chosen by weight when left out.
        #[arg(long)]
        shard: Option<String>,
        /// Creates each workspace's database from the keyspace's template.
        #[arg(long)]
        provision: bool,
    },
    /// Shows where a workspace is and what it accepts.
    Show {
        /// Config and keyspace.
        #[command(flatten)]
        args: WorkspaceArgs,
        /// The workspace id.
        id: String,
    },
    /// Lists workspaces.
    List {
        /// Config and keyspace.
        #[command(flatten)]
        args: WorkspaceArgs,
        /// Only those on this shard.
        #[arg(long)]
        shard: Option<String>,
        /// Only those in this state: active, read_only, moving, suspended.
        #[arg(long)]
        state: Option<String>,
    },
    /// Sets what a workspace accepts.
    SetState {
        /// Config and keyspace.
        #[command(flatten)]
        args: WorkspaceArgs,
        /// The workspace id.
        id: String,
        /// active, read_only, moving or suspended.
        state: String,
    },
    /// Takes a workspace out of the directory; its database stays.
    Delete {
        /// Config and keyspace.
        #[command(flatten)]
        args: WorkspaceArgs,
        /// The workspace id.
        id: String,
    },
    /// Imports rows from standard input: CSV with the header `workspace,shard,state`, or JSON lines.
    Import {
        /// Config and keyspace.
        #[command(flatten)]
        args: WorkspaceArgs,
        /// Format of the rows.
        #[arg(long, default_value = "csv")]
        format: String,
    },
    /// Exports all rows to standard output.
    Export {
        /// Config and keyspace.
        #[command(flatten)]
        args: WorkspaceArgs,
        /// Format of the rows.
        #[arg(long, default_value = "csv")]
        format: String,
    },
}

/// Runs the command line and gives the process's exit code: 0 done, 1 failed, 2 wrong usage (by clap); `ddl`,
/// `migrate` and `schema` have their own.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve { config } => super::serve(&config.config).map_err(|error| error.to_string()),
        Command::Check { config, live, json } => commands::check(&config.config, live, json),
        Command::Explain { config, database, sql } => {
            commands::explain(&config.config, database.as_deref(), &sql)
        }
        Command::Workspace { command } => commands::workspace(command),
        Command::Admin { config, login, json, statement } => {
            commands::admin(&config.config, &login.user, &statement, json)
        }
        Command::Ddl { command } => return ddl::run(command),
        Command::Shard { command } => on_call::shard(command),
        Command::Incident { command } => on_call::incident(command),
        Command::Migrate { command } => return migrate::run(command),
        Command::Schema { command } => return drift::run(command),
        Command::Password { plugin } => commands::password(plugin),
        Command::Version => {
            let build = if cfg!(debug_assertions) { "debug" } else { "optimised" };
            let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
            println!("bulkhead {} ({build} build, {system} {machine})", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Words of an example, quotes taken off; what is behind a redirection is the shell's.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.chars() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), _) if open == c => quote = None,
                (None, ' ') => words.push(std::mem::take(&mut word)),
                _ => word.push(c),
            }
        }
        words.push(word);
        words.into_iter().take_while(|word| word != "<").collect()
    }

    #[test]
    fn every_command_has_help_with_examples_that_can_be_typed() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        let mut helps = vec![cli.get_after_help().expect("how to start").to_string()];
        let parts = cli.get_subcommands().filter(|command| command.get_name() == "ddl");
        let parts = parts.flat_map(clap::Command::get_subcommands);
        for command in cli.get_subcommands().chain(parts).filter(|command| command.get_name() != "help") {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let help = command.get_after_help().map(ToString::to_string);
            assert!(help.is_some() || command.get_name() == "version", "{}", command.get_name());
            helps.extend(help);
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
        for group in ["shard", "incident", "migrate", "schema"] {
            for command in cli.find_subcommand(group).expect("it is there").get_subcommands() {
                if command.get_name() != "help" {
                    helps.push(command.get_after_help().expect(group).to_string());
                }
            }
        }
        let helps = helps.join("\n");
        let mut examples = 0;
        for line in helps.lines().filter_map(|line| line.trim().strip_prefix("bulkhead ")) {
            let typed = std::iter::once("bulkhead".to_owned()).chain(words(line));
            Cli::try_parse_from(typed).unwrap_or_else(|error| panic!("bulkhead {line}: {error}"));
            examples += 1;
        }
        assert!(examples > 10, "{examples}");
    }
}
