//! Why a database could not be read.

use std::time::Duration;

use crate::control::Refused;

/// Why a database could not be read. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] Refused),
    /// The server refused the question.
    #[error("the server says {errno}: {message}")]
    Server {
        /// Its errno.
        errno: u16,
        /// SQLSTATE.
        sqlstate: [u8; 5],
        /// Its words.
        message: String,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(mysql_async::Error),
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// The answer is not what servers answer.
    #[error("the server's answer about {0} is not understood")]
    Odd(&'static str),
}

impl From<mysql_async::Error> for ReadError {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(error) => {
                let mut sqlstate = *b"HY000";
                if error.state.len() == sqlstate.len() {
                    sqlstate.copy_from_slice(error.state.as_bytes());
                }
                Self::Server { errno: error.code, sqlstate, message: error.message }
            }
            other => Self::Broken(other),
        }
    }
}
