//! The baseline proxy: `opensrv-mysql` towards clients, `mysql_async` towards one server.
//!
//! What a proxy made of these two packages costs, built as well as they allow: output buffered, server
//! connections pooled and shared between clients (taken for a statement, held in a transaction), statements
//! prepared once per connection, rows passed on as they arrive. It takes every login, serves one database,
//! and knows transactions by their first word. It exists to be measured: see docs/decisions.md for why these
//! packages are not in Bulkhead's path.
//!
//! usage: baseline PORT SERVER_URL CONNECTIONS_MAX

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder, Params, QueryResult, Value};
use opensrv_mysql::{
    AsyncMysqlIntermediary, AsyncMysqlShim, Column, ColumnFlags, ColumnType, ErrorKind, InitWriter,
    OkResponse, ParamParser, QueryResultWriter, RowWriter, StatementMetaWriter, ValueInner,
};
use tokio::io::{AsyncWrite, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of output that are collected before a write.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Connections to the server.
struct Pool {
    options: Opts,
    idle: Mutex<Vec<Conn>>,
    permits: Arc<Semaphore>,
}

/// A connection and the right to have it.
struct Lent {
    connection: Conn,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    async fn take(&self) -> io::Result<Lent> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let idle = self.idle.lock().expect("no code panics while it holds this lock").pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Conn::new(self.options.clone()).await.map_err(io::Error::other)?,
        };
        Ok(Lent { connection, _permit: permit })
    }

    fn give_back(&self, lent: Lent) {
        let Lent { connection, _permit } = lent;
        self.idle.lock().expect("no code panics while it holds this lock").push(connection);
    }
}

/// One client.
struct Session {
    pool: Arc<Pool>,
    /// The connection of an open transaction.
    held: Option<Lent>,
    statements: HashMap<u32, String>,
    statement_last: u32,
}

impl Session {
    async fn connection(&mut self) -> io::Result<Lent> {
        match self.held.take() {
            Some(lent) => Ok(lent),
            None => self.pool.take().await,
        }
    }

    /// Keeps the connection while a transaction is open.
    fn settle(&mut self, sql: &str, was_held: bool, lent: Lent) {
        let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let holds = match word.as_str() {
            "BEGIN" | "START" => true,
            "COMMIT" | "ROLLBACK" => false,
            _ => was_held,
        };
        if holds {
            self.held = Some(lent);
        } else {
            self.pool.give_back(lent);
        }
    }
}

/// A column's type as the client is told. DECIMAL goes as text: the package writes no other bytes for it.
fn column_of(column: &mysql_async::Column) -> Column {
    let kind = column.column_type() as u8;
    let coltype = match ColumnType::try_from(kind) {
        Ok(ColumnType::MYSQL_TYPE_NEWDECIMAL | ColumnType::MYSQL_TYPE_DECIMAL) | Err(_) => {
            ColumnType::MYSQL_TYPE_VAR_STRING
        }
        Ok(coltype) => coltype,
    };
    Column {
        table: column.table_str().into_owned(),
        column: column.name_str().into_owned(),
        coltype,
        colflags: ColumnFlags::from_bits_truncate(column.flags().bits()),
    }
}

fn write_value<W: AsyncWrite + Unpin>(out: &mut RowWriter<'_, W>, value: &Value) -> io::Result<()> {
    match value {
        Value::NULL => out.write_col(None::<&[u8]>),
        Value::Bytes(bytes) => out.write_col(&bytes[..]),
        Value::Int(number) => out.write_col(*number),
        Value::UInt(number) => out.write_col(*number),
        Value::Float(number) => out.write_col(*number),
        Value::Double(number) => out.write_col(*number),
        other => out.write_col(other.as_sql(true).trim_matches('\'')),
    }
}

/// Passes a result on, row by row.
async fn pass_on<P: Protocol, W: AsyncWrite + Send + Unpin>(
    mut result: QueryResult<'_, 'static, P>,
    results: QueryResultWriter<'_, W>,
) -> io::Result<()> {
    let columns: Vec<Column> = match result.columns() {
        Some(columns) if !columns.is_empty() => columns.iter().map(column_of).collect(),
        _ => {
            let ok = OkResponse {
                affected_rows: result.affected_rows(),
                last_insert_id: result.last_insert_id().unwrap_or_default(),
                ..OkResponse::default()
            };
            return results.completed(ok).await;
        }
    };
    let mut out = results.start(&columns).await?;
    while let Some(row) = result.next().await.map_err(io::Error::other)? {
        for value in row.unwrap_raw().into_iter().flatten() {
            write_value(&mut out, &value)?;
        }
        out.end_row().await?;
    }
    out.finish().await
}

fn parameter_of(value: ValueInner<'_>) -> Value {
    match value {
        ValueInner::NULL => Value::NULL,
        ValueInner::Int(number) => Value::Int(number),
        ValueInner::UInt(number) => Value::UInt(number),
        ValueInner::Double(number) => Value::Double(number),
        ValueInner::Bytes(bytes)
        | ValueInner::Date(bytes)
        | ValueInner::Time(bytes)
        | ValueInner::Datetime(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// The text of a server's error, for the client.
/// What a load generator tells apart: the answers to a deadlock and to a lock wait are tried again. The
/// library's own conversion panics at numbers that it does not know.
fn kind(error: &mysql_async::Error) -> ErrorKind {
    match error {
        mysql_async::Error::Server(error) if error.code == 1213 => ErrorKind::ER_LOCK_DEADLOCK,
        mysql_async::Error::Server(error) if error.code == 1205 => ErrorKind::ER_LOCK_WAIT_TIMEOUT,
        _ => ErrorKind::ER_UNKNOWN_ERROR,
    }
}

fn words(error: &mysql_async::Error) -> Vec<u8> {
    error.to_string().into_bytes()
}

#[async_trait]
impl<W: AsyncWrite + Send + Unpin> AsyncMysqlShim<W> for Session {
    type Error = io::Error;

    fn version(&self) -> String {
        "8.4.0-baseline".to_owned()
    }

    async fn on_prepare<'a>(&'a mut self, sql: &'a str, info: StatementMetaWriter<'a, W>) -> io::Result<()> {
        let (was_held, mut lent) = (self.held.is_some(), self.connection().await?);
        let prepared = lent.connection.prep(sql).await;
        self.settle("", was_held, lent);
        match prepared {
            Ok(statement) => {
                self.statement_last += 1;
                self.statements.insert(self.statement_last, sql.to_owned());
                let parameters: Vec<Column> = statement.params().iter().map(column_of).collect();
                let columns: Vec<Column> = statement.columns().iter().map(column_of).collect();
                info.reply(self.statement_last, &parameters, &columns).await
            }
            Err(error) => info.error(kind(&error), &words(&error)).await,
        }
    }

    async fn on_execute<'a>(
        &'a mut self,
        id: u32,
        parameters: ParamParser<'a>,
        results: QueryResultWriter<'a, W>,
    ) -> io::Result<()> {
        let Some(sql) = self.statements.get(&id).cloned() else {
            return results.error(ErrorKind::ER_UNKNOWN_STMT_HANDLER, b"no such statement").await;
        };
        let values: Vec<Value> =
            parameters.into_iter().map(|parameter| parameter_of(parameter.value.into_inner())).collect();
        let values = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
        let (was_held, mut lent) = (self.held.is_some(), self.connection().await?);
        // The connection remembers what it has prepared, so this asks the server the first time only.
        match lent.connection.exec_iter(sql.as_str(), values).await {
            Ok(result) => pass_on(result, results).await?,
            Err(error) => results.error(kind(&error), &words(&error)).await?,
        }
        self.settle(&sql, was_held, lent);
        Ok(())
    }

    async fn on_close<'a>(&'a mut self, statement: u32)
    where
        W: 'async_trait,
    {
        self.statements.remove(&statement);
    }

    async fn on_query<'a>(&'a mut self, sql: &'a str, results: QueryResultWriter<'a, W>) -> io::Result<()> {
        let (was_held, mut lent) = (self.held.is_some(), self.connection().await?);
        match lent.connection.query_iter(sql).await {
            Ok(result) => pass_on(result, results).await?,
            Err(error) => results.error(kind(&error), &words(&error)).await?,
        }
        self.settle(sql, was_held, lent);
        Ok(())
    }

    async fn on_init<'a>(&'a mut self, _database: &'a str, writer: InitWriter<'a, W>) -> io::Result<()> {
        writer.ok().await
    }
}

async fn serve(stream: TcpStream, pool: Arc<Pool>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let session = Session { pool, held: None, statements: HashMap::new(), statement_last: 0 };
    AsyncMysqlIntermediary::run_on(session, reader, BufWriter::with_capacity(OUTPUT_BYTES, writer)).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, url, connections] = &arguments[..] else {
        return Err(io::Error::other("usage: baseline PORT SERVER_URL CONNECTIONS_MAX"));
    };
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let options = OptsBuilder::from_opts(Opts::from_url(url).map_err(io::Error::other)?).tcp_nodelay(true);
    let pool = Arc::new(Pool {
        options: options.into(),
        idle: Mutex::default(),
        permits: Arc::new(Semaphore::new(connections.parse().map_err(io::Error::other)?)),
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            // The client left, or broke the protocol: its own affair.
            let _ = serve(stream, pool).await;
        });
    }
}
