//! Section `[alerts]`: who is told of states, steps and alerts.

use std::path::PathBuf;
use std::time::Duration;

use super::super::decode::Object;
use super::super::keys::{Key, Section, Shape};
use super::super::secrets;
use super::WebAddress;
use crate::redact::Secret;

pub(in crate::config) const ALERTS: Section = Section {
    doc: "Who is told, as JSON with the evidence, when a cluster becomes or stops being degraded or down, of \
          every step of the ladder and its end, and of alerts.",
    keys: &[
        Key::new("webhooks", Shape::Named(&WEBHOOK), "Addresses that get an HTTP POST."),
        Key::new("commands", Shape::Named(&COMMAND), "Programs that get one line on their standard input."),
    ],
};

const WEBHOOK: Section = Section {
    doc: "A webhook. Exactly one of url, url_env.",
    keys: &[
        Key::new("url", Shape::Secret, "Address, `http://…` or `https://…`; redirects are not followed."),
        Key::new("url_env", Shape::Text, "Environment variable with the address, if it holds a secret."),
        Key::new(
            "token_env",
            Shape::Text,
            "Environment variable with a token, sent as `Authorization: Bearer`.",
        ),
        Key::new(
            "ca",
            Shape::Path,
            "PEM file with the authority of an https address; else the well-known ones.",
        ),
        Key::new("timeout", Shape::Duration(1), "For each of three attempts.").or("5s"),
    ],
};

const COMMAND: Section = Section {
    doc: "A program to run for each alert.",
    keys: &[
        Key::new("program", Shape::Path, "The program; run without a shell.").required(),
        Key::new("arguments", Shape::List(&Shape::Text), "Its arguments."),
        Key::new("timeout", Shape::Duration(1), "It is ended after this; for each of three attempts.")
            .or("10s"),
    ],
};

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerts {
    /// In the order of the file.
    pub webhooks: Vec<Webhook>,
    /// In the order of the file.
    pub commands: Vec<AlertCommand>,
}

/// An address that gets an HTTP POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name in the config.
    pub name: Box<str>,
    /// Where.
    pub address: WebAddress,
    /// Sent as a bearer token.
    pub token: Option<Secret>,
    /// PEM file with the authority of the server's certificate.
    pub ca: Option<PathBuf>,
    /// For each attempt.
    pub timeout: Duration,
}

/// A program that gets alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCommand {
    /// Its name in the config.
    pub name: Box<str>,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<Box<str>>,
    /// It is ended after this.
    pub timeout: Duration,
}

impl Alerts {
    pub(in crate::config) fn decode(object: &Object<'_>) -> Self {
        let webhooks = object.named("webhooks");
        let commands = object.named("commands");
        Self {
            webhooks: webhooks.iter().filter_map(|(name, _, hook)| Webhook::decode(name, hook)).collect(),
            commands: commands
                .iter()
                .filter_map(|(name, _, hook)| AlertCommand::decode(name, hook))
                .collect(),
        }
    }
}

impl Webhook {
    fn decode(name: &str, object: &Object<'_>) -> Option<Self> {
        if object.has("url") == object.has("url_env") {
            object.fault(object.place().error("give one of url, url_env"));
            return None;
        }
        let (key, text) = if object.has("url") {
            ("url", Secret::new(object.text("url")?))
        } else {
            ("url_env", secrets::read_variable(object, "url_env")?)
        };
        let token =
            if object.has("token_env") { Some(secrets::read_variable(object, "token_env")?) } else { None };
        if token.as_ref().is_some_and(|token| token.reveal().contains(|c: char| c.is_control())) {
            object.fault(object.place_of("token_env").error("the token has a control character"));
        }
        let address = WebAddress::parse(text.reveal());
        let address = address.map_err(|why| object.fault(object.place_of(key).error(why))).ok()?;
        let (ca, timeout) = (object.existing_path("ca"), object.duration("timeout"));
        Some(Self { name: name.into(), address, token, ca, timeout })
    }
}

impl AlertCommand {
    fn decode(name: &str, object: &Object<'_>) -> Option<Self> {
        let arguments = object.texts("arguments").into_iter().map(|(text, _)| text.into()).collect();
        let (program, timeout) = (object.existing_path("program")?, object.duration("timeout"));
        Some(Self { name: name.into(), program, arguments, timeout })
    }
}
