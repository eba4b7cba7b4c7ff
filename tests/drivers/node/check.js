'use strict';
// Checks of node's mysql2: prints what each check saw, for comparison line by line.
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const mysql = require('mysql2/promise');
const callbacks = require('mysql2');

const settings = {
  host: process.env.DRIVER_HOST || '127.0.0.1',
  port: Number(process.env.DRIVER_PORT || 3306),
  user: process.env.DRIVER_USER || 'app',
  password: process.env.DRIVER_PASSWORD || '',
  database: process.env.DRIVER_DATABASE || 'drivers',
  charset: 'utf8mb4',
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  infileStreamFactory: (name) => fs.createReadStream(name),
};
const nativeUser = process.env.DRIVER_NATIVE_USER || '';
const FOREVER = 'SELECT SUM(a.n * b.n + c.n) FROM numbers a, numbers b, numbers c WHERE c.n <= 200';

const checks = [];
const check = (name, action) => checks.push({ name, action });
const line = (...parts) => console.log(parts.map((p) => (typeof p === 'string' ? p : show(p))).join(' '));

function show(value) {
  if (Buffer.isBuffer(value)) {
    return value.length > 100 ? `Buffer[${value.length}] ${sha(value)}` : `x'${value.toString('hex')}'`;
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string' && value.length > 200) return `text[${value.length}] ${sha(value)}`;
  return JSON.stringify(value);
}
const sha = (value) => crypto.createHash('sha256').update(value).digest('hex').slice(0, 16);

function rows(label, found) {
  line(`${label}: ${found.length} rows`);
  for (const row of found.slice(0, 20)) {
    line('  ', Object.entries(row).map(([key, value]) => `${key}=${show(value)}`).join(' | '));
  }
}

function fields(list) {
  for (const f of list) {
    line('  field', f.name, f.orgName, f.table, f.orgTable, `type ${f.columnType} length ${f.columnLength}`,
      `flags ${f.flags} decimals ${f.decimals} charset ${f.characterSet}`);
  }
}

const header = (result) => [result.affectedRows, result.insertId, result.info, result.warningStatus];
const describe = (e) => `${e.errno} ${e.sqlState} ${e.sqlMessage || e.code || e.message}`;

async function fails(label, action) {
  try {
    await action();
    line(`${label}: no error`);
  } catch (error) {
    line(`${label}:`, describe(error));
  }
}

async function using(options, action) {
  const connection = await mysql.createConnection({ ...settings, ...options });
  try {
    return await action(connection);
  } finally {
    connection.destroy();
  }
}
const value = async (c, sql) => Object.values((await c.query(sql))[0][0])[0];

check('connect', async () => {
  await using({}, async (c) => rows('plain', (await c.query('SELECT 1 AS a, DATABASE() AS d'))[0]));
  await using({ ssl: { rejectUnauthorized: false } }, async (c) => {
    rows('tls', (await c.query('SELECT 1 AS a'))[0]);
    line('encrypted', c.connection.stream.encrypted === true);
  });
  await using({ connectAttributes: { program_name: 'checks', colour: 'grün' } }, async (c) => {
    rows('attributes', (await c.query('SELECT 1 AS a'))[0]);
  });
  await using({ database: undefined }, async (c) => rows('none', (await c.query('SELECT DATABASE() AS d'))[0]));
});

check('refused', async () => {
  await fails('password', () => using({ password: 'wrong' }, () => {}));
  await fails('user', () => using({ user: 'nobody_here' }, () => {}));
  await fails('database', () => using({ database: 'no_such_database' }, () => {}));
});

check('native_password', async () => {
  if (!nativeUser) return line('skip the server has no account with mysql_native_password');
  await using({ user: nativeUser }, async (c) => rows('native', (await c.query('SELECT 1 AS a'))[0]));
  await fails('wrong', () => using({ user: nativeUser, password: 'wrong' }, () => {}));
});

check('ping_reset_change_user', () => using({}, async (c) => {
  await c.ping();
  await c.query("SET @mine = 1, SESSION group_concat_max_len = 3333");
  await c.query('CREATE TEMPORARY TABLE gone (n INT)');
  await c.beginTransaction();
  await c.query("INSERT INTO notes (name) VALUES ('uncommitted by node')");
  if (c.connection.reset) await c.reset();
  rows('reset', (await c.query('SELECT @mine AS m, @@group_concat_max_len = 3333 AS g, DATABASE() AS d'))[0]);
  await fails('temporary', () => c.query('SELECT * FROM gone'));
  await c.query('SET @mine = 2');
  await c.changeUser({ user: settings.user, password: settings.password, database: settings.database });
  rows('changed', (await c.query("SELECT @mine AS m, DATABASE() AS d"))[0]);
  await c.changeUser({ user: settings.user, password: settings.password, database: 'information_schema' });
  rows('database', (await c.query('SELECT DATABASE() AS d'))[0]);
  await fails('wrong', () => c.changeUser({ user: settings.user, password: 'wrong', database: settings.database }));
  await using({}, async (d) => rows('rolled back', (await d.query(
    "SELECT COUNT(*) AS n FROM notes WHERE name = 'uncommitted by node'"))[0]));
}));

check('types_in_text_and_binary', () => using({}, async (c) => {
  for (const method of ['query', 'execute']) {
    const [found, columns] = await c[method]('SELECT * FROM all_types ORDER BY id');
    line(method);
    fields(columns);
    rows('all', found);
  }
  const [text] = await c.query('SELECT * FROM all_types ORDER BY id');
  const [binary] = await c.execute('SELECT * FROM all_types ORDER BY id');
  const differ = Object.keys(text[0]).filter((k) => show(text[0][k]) !== show(binary[0][k]));
  line('columns that differ between protocols', differ);
}));

check('parameters_of_all_types', () => using({}, async (c) => {
  const values = [null, 1, -1.5, 'text ü🦀', Buffer.from([0, 255, 39, 92]), new Date(Date.UTC(2024, 1, 29, 1, 2, 3, 456)),
    true, JSON.stringify({ a: [1] }), '', 9007199254740991];
  const marks = values.map((_, i) => `? AS p${i}`).join(', ');
  const [found, columns] = await c.execute(`SELECT ${marks}`, values);
  rows('echo', found);
  fields(columns);
  const [between] = await c.execute('SELECT n FROM numbers WHERE n > ? AND name LIKE ? ORDER BY n LIMIT 3', [990, 'number%']);
  rows('between', between);
  for (const n of [1, 2, 3]) {
    rows('again', (await c.execute('SELECT name FROM numbers WHERE n = ?', [n]))[0]);
  }
  line('insert', header((await c.execute('INSERT INTO notes (name, body) VALUES (?, ?)', ['node', Buffer.alloc(3)]))[0])[0]);
  line('update', header((await c.execute('UPDATE notes SET body = ? WHERE name = ?', ['x', 'node']))[0]).slice(0, 1));
  line('delete', header((await c.execute('DELETE FROM notes WHERE name = ?', ['node']))[0])[0]);
  await fails('too few', () => c.execute('SELECT ?, ?', [1]));
  await fails('broken', () => c.execute('SELECT FROM', []));
  await fails('duplicate', () => c.execute('INSERT INTO numbers VALUES (?, ?, ?)', [1, 1, 'x']));
  const statement = await c.prepare('SELECT ? + n AS sum FROM numbers WHERE n = ?');
  rows('prepared', (await statement.execute([1, 41]))[0]);
  await statement.close();
}));

check('many_prepared_statements', () => using({ maxPreparedStatements: 20 }, async (c) => {
  let sum = 0;
  for (let i = 1; i <= 60; i += 1) {
    sum += Number((await c.execute(`SELECT ${i} AS i, ? AS p`, [i]))[0][0].i);
  }
  line('sum', sum);
}));

check('a_statement_of_many_parameters', () => using({}, async (c) => {
  const list = Array.from({ length: 5000 }, (_, i) => i + 1);
  const marks = list.map(() => '?').join(',');
  rows('in', (await c.execute(`SELECT COUNT(*) AS n, SUM(squared) AS s FROM numbers WHERE n IN (${marks})`, list))[0]);
}));

check('several_statements', () => using({ multipleStatements: true }, async (c) => {
  const [results] = await c.query("SELECT 1 AS a; SET @x = 2; SELECT @x AS b, ';' AS c; DO 0");
  for (const result of results) line(Array.isArray(result) ? result : header(result));
  await fails('midway', () => c.query('SELECT 1 AS a; SELECT broken FROM numbers; SELECT 3 AS c'));
  rows('alive', (await c.query('SELECT 1 AS a'))[0]);
  await using({}, (d) => fails('without the flag', () => d.query('SELECT 1; SELECT 2')));
}));

check('procedures', () => using({}, async (c) => {
  for (const method of ['query', 'execute']) {
    const [results] = await c[method]('CALL two_results(?)', [2]);
    for (const result of results) line(method, Array.isArray(result) ? result : header(result));
    await fails(`${method} midway`, () => c[method]('CALL fails_midway()'));
  }
}));

check('streaming', () => using({}, async (c) => {
  const core = c.connection;
  for (const method of ['query', 'execute']) {
    let count = 0;
    await new Promise((resolve, reject) => {
      core[method]('SELECT a.n FROM numbers a, numbers b WHERE b.n <= 30').stream({ highWaterMark: 5 })
        .on('data', () => { count += 1; }).on('error', reject).on('end', resolve);
    });
    line(method, 'streamed', count);
  }
}));

check('load_local_file', () => using({ flags: ['LOCAL_FILES'] }, async (c) => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'node-')), 'n.tsv');
  fs.writeFileSync(file, Array.from({ length: 5000 }, (_, i) => `node${i}\tü🦀${i}\n`).join(''));
  const [result] = await c.query({
    sql: 'LOAD DATA LOCAL INFILE ? INTO TABLE notes CHARACTER SET utf8mb4 (name, body)', values: [file],
    infileStreamFactory: () => fs.createReadStream(file) });
  line('loaded', header(result).filter((_, i) => i !== 1));
  rows('there', (await c.query("SELECT COUNT(*) AS n, SUM(CRC32(body)) AS s FROM notes WHERE name LIKE 'node%'"))[0]);
  line('deleted', header((await c.query("DELETE FROM notes WHERE name LIKE 'node%'"))[0])[0]);
  fs.unlinkSync(file);
}));

check('big_packets', async () => {
  for (const compress of [false, true]) {
    await using({ compress }, async (c) => {
      for (const size of compress ? [17 << 20] : [17 << 20, 40 << 20]) {
        const body = Buffer.alloc(size, compress ? 'compressible ' : crypto.createHash('md5').update('x').digest());
        await c.execute("REPLACE INTO notes (id, name, body) VALUES (2, 'big node', ?)", [body]);
        const [[row]] = await c.execute("SELECT body, SHA2(body, 256) AS m FROM notes WHERE id = 2");
        line(compress ? 'compressed' : 'plain', size, row.m === crypto.createHash('sha256').update(body).digest('hex'),
          row.body.equals(body));
      }
      await c.query('DELETE FROM notes WHERE id = 2');
    });
  }
});

check('compression', () => using({ compress: true }, async (c) => {
  rows('small', (await c.query('SELECT 1 AS a'))[0]);
  line('large', sha(await value(c, "SELECT REPEAT('abc', 100000) AS r")));
  const noise = zlib.deflateSync(crypto.createHash('sha512').update('seed').digest()).toString('hex');
  line('noise', (await value(c, `SELECT '${noise}' AS r`)) === noise);
  rows('many', (await c.query('SELECT COUNT(*) AS n FROM (SELECT a.n FROM numbers a, numbers b LIMIT 5000) AS t'))[0]);
  line('rows', (await c.query('SELECT a.n, a.name FROM numbers a, numbers b WHERE b.n < 20'))[0].length);
}));

check('errors', () => using({}, async (c) => {
  for (const sql of ['SELEC 1', '', 'SELECT * FROM no_such_table', 'INSERT INTO numbers VALUES (1, 1, 1)',
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'ü mine'", 'USE no_such_database', 'CALL nothing()']) {
    await fails(sql || 'empty', () => c.query(sql));
  }
  rows('alive', (await c.query('SELECT 1 AS a'))[0]);
}));

check('kill_a_query', () => using({}, async (victim) => {
  await using({}, async (killer) => {
    const running = fails('killed', () => victim.query(FOREVER));
    await new Promise((resolve) => { setTimeout(resolve, 400); });
    await killer.query(`KILL QUERY ${victim.threadId}`);
    await running;
    rows('alive', (await victim.query('SELECT 1 AS a'))[0]);
  });
}));

check('transactions_and_pool', async () => {
  const pool = mysql.createPool({ ...settings, connectionLimit: 4 });
  const one = await pool.getConnection();
  await one.beginTransaction();
  await one.query("INSERT INTO notes (name) VALUES ('pool')");
  rows('elsewhere', (await pool.query("SELECT COUNT(*) AS n FROM notes WHERE name = 'pool'"))[0]);
  await one.rollback();
  one.release();
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => pool.query('SELECT ? AS i', [i])));
  line('sum', all.reduce((sum, [[row]]) => sum + Number(row.i), 0));
  await pool.end();
});

check('queued_queries', () => new Promise((resolve, reject) => {
  const connection = callbacks.createConnection(settings);
  const seen = [];
  for (let i = 0; i < 100; i += 1) {
    connection.query('SELECT ? AS i', [i], (error, found) => (error ? reject(error) : seen.push(Number(found[0].i))));
  }
  connection.query('SELECT broken', (error) => line('broken', error.errno));
  connection.end((error) => {
    if (error) reject(error);
    line('in order', seen.every((v, i) => v === i), seen.length);
    resolve();
  });
}));

(async () => {
  if (process.argv.includes('--help')) {
    console.log('usage: node check.js    (DRIVER_HOST, DRIVER_PORT, DRIVER_USER, DRIVER_PASSWORD, DRIVER_DATABASE)');
    return;
  }
  for (const { name, action } of checks) {
    console.log(`## ${name}`);
    try {
      await action();
    } catch (error) {
      line(error.errno > 0 ? 'raised' : 'FAILED', error.errno > 0 ? describe(error) : String(error.message || error));
    }
  }
  process.exit(0);
})();
