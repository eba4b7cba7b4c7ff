use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::error::Code;
use crate::protocol::handshake;
use crate::protocol::password::{AuthPlugin, StoredPassword};
use crate::redact::Secret;

const NONCE: Nonce = Nonce(*b"abcdefghijklmnopqrst");

struct Users(HashMap<&'static str, StoredPassword>);

impl Credentials for Users {
    fn lookup(&self, user: &str) -> Option<StoredPassword> {
        self.0.get(user).cloned()
    }
}

fn users() -> Users {
    let stored = |plugin, plain: &str| StoredPassword::generate(plugin, plain.as_bytes()).unwrap();
    Users(HashMap::from([
        ("sha", stored(AuthPlugin::CachingSha2, "s3cret")),
        ("native", stored(AuthPlugin::Native, "s3cret")),
        ("empty", StoredPassword::Empty),
    ]))
}

fn context() -> Arc<AuthContext> {
    Arc::new(AuthContext::new(RsaKey::generate().unwrap()).unwrap())
}

/// How the exchange went: `Ok(number of packets the server sent before OK)`, or the refusal's message.
struct Exchange<'a> {
    context: &'a Arc<AuthContext>,
    users: &'a Users,
    secure: bool,
}

impl Exchange<'_> {
    /// Runs our client against our server.
    fn run(&self, user: &str, password: &str, client_plugin: &str) -> Result<usize, String> {
        let mut client = ClientAuth::new(Secret::new(password), self.secure, client_plugin, &NONCE.0);
        let request = AuthRequest {
            user: user.to_owned(),
            host: "127.0.0.1".to_owned(),
            plugin: Some(client_plugin.to_owned()),
            response: client.first_response(),
            nonce: NONCE,
            secure: self.secure,
        };
        let (mut server, mut step) = ServerAuth::begin(request, self.users, Arc::clone(self.context));
        let mut sent = 0;
        loop {
            let payload = match step {
                AuthStep::Send(payload) => payload,
                AuthStep::Accepted(last) => {
                    if let Some(payload) = last {
                        assert_eq!(client.step(&payload).unwrap(), ClientStep::Read);
                        sent += 1;
                    }
                    assert_eq!(client.step(&[0, 0, 0]).unwrap(), ClientStep::Done);
                    return Ok(sent);
                }
                AuthStep::Refused(error) => return Err(error.wire_message()),
            };
            sent += 1;
            match client.step(&payload).unwrap() {
                ClientStep::Send(answer) => step = server.step(&answer),
                other => panic!("the client stopped at {other:?}"),
            }
        }
    }
}

const SHA2: &str = "caching_sha2_password";
const NATIVE: &str = "mysql_native_password";

#[test]
fn full_then_fast() {
    let (context, users) = (context(), users());
    for secure in [true, false] {
        context.forget_all();
        let exchange = Exchange { context: &context, users: &users, secure };
        // By RSA: "full", the public key. By TLS: "full".
        assert_eq!(exchange.run("sha", "s3cret", SHA2), Ok(if secure { 1 } else { 2 }));
        assert_eq!(exchange.run("sha", "s3cret", SHA2), Ok(1), "fast");
        assert_eq!(
            exchange.run("sha", "wrong", SHA2).unwrap_err(),
            "Access denied for user 'sha'@'127.0.0.1' (using password: YES)"
        );
        assert_eq!(
            exchange.run("sha", "", SHA2).unwrap_err(),
            "Access denied for user 'sha'@'127.0.0.1' (using password: NO)"
        );
    }
}

#[test]
fn a_changed_hash_ends_the_fast_path() {
    let (context, mut users) = (context(), users());
    Exchange { context: &context, users: &users, secure: true }.run("sha", "s3cret", SHA2).unwrap();
    users.0.insert("sha", StoredPassword::generate(AuthPlugin::CachingSha2, b"other").unwrap());
    let exchange = Exchange { context: &context, users: &users, secure: true };
    assert!(exchange.run("sha", "s3cret", SHA2).is_err());
    assert_eq!(exchange.run("sha", "other", SHA2), Ok(1));
}

#[test]
fn plugins_are_switched_both_ways() {
    let (context, users) = (context(), users());
    let exchange = Exchange { context: &context, users: &users, secure: false };
    assert_eq!(exchange.run("native", "s3cret", NATIVE), Ok(0));
    assert_eq!(exchange.run("native", "s3cret", SHA2), Ok(1));
    assert_eq!(exchange.run("sha", "s3cret", NATIVE), Ok(3));
    assert!(exchange.run("native", "wrong", SHA2).unwrap_err().contains("using password: YES"));
    assert!(exchange.run("native", "", NATIVE).unwrap_err().contains("using password: NO"));
}

#[test]
fn empty_passwords() {
    let (context, users) = (context(), users());
    let exchange = Exchange { context: &context, users: &users, secure: false };
    assert_eq!(exchange.run("empty", "", SHA2), Ok(0));
    assert_eq!(exchange.run("empty", "", NATIVE), Ok(0));
    assert!(exchange.run("empty", "x", NATIVE).is_err());
    assert!(exchange.run("empty", "x", SHA2).is_err());
}

#[test]
fn unknown_users_see_the_same_exchange() {
    let (context, users) = (context(), users());
    let transcript = |user: &str| {
        let mut client = ClientAuth::new(Secret::new("guess"), true, SHA2, &NONCE.0);
        let request = AuthRequest {
            user: user.to_owned(),
            host: "h".to_owned(),
            plugin: Some(SHA2.to_owned()),
            response: client.first_response(),
            nonce: NONCE,
            secure: true,
        };
        let (mut server, first) = ServerAuth::begin(request, &users, Arc::clone(&context));
        let AuthStep::Send(payload) = first else { panic!("{first:?}") };
        let ClientStep::Send(answer) = client.step(&payload).unwrap() else { panic!() };
        let AuthStep::Refused(error) = server.step(&answer) else { panic!() };
        (payload, error.code, error.message.replace(user, "?"))
    };
    assert_eq!(transcript("nobody"), transcript("sha"));
}

#[test]
fn clients_without_plugins_must_have_native_accounts() {
    let (context, users) = (context(), users());
    let request = |user: &str| AuthRequest {
        user: user.to_owned(),
        host: "h".to_owned(),
        plugin: None,
        response: ClientAuth::new(Secret::new("s3cret"), false, NATIVE, &NONCE.0).first_response(),
        nonce: NONCE,
        secure: false,
    };
    let (_, step) = ServerAuth::begin(request("native"), &users, Arc::clone(&context));
    assert!(matches!(step, AuthStep::Accepted(None)));
    let (_, step) = ServerAuth::begin(request("sha"), &users, context);
    assert!(matches!(step, AuthStep::Refused(error) if error.code == Code::UnsupportedAuthMode));
}

#[test]
fn clients_refuse_what_they_do_not_speak() {
    let mut client = ClientAuth::new(Secret::new("x"), true, SHA2, &NONCE.0);
    let error = client.step(&handshake::auth_switch_request("client_ed25519", &NONCE)).unwrap_err();
    assert!(error.to_string().contains("client_ed25519"), "{error}");
    let mut client = ClientAuth::new(Secret::new("x"), true, SHA2, &NONCE.0);
    assert!(client.step(&[1, 9]).is_err());
    assert!(client.step(&[]).is_err());
    let error = client.step(b"\xff\x15\x04#28000Access denied").unwrap_err();
    assert!(matches!(error, ClientAuthError::Refused(refusal) if refusal.errno == 1045));
}
