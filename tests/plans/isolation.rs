//! Properties: what is accepted for a workspace depends on no other workspace's rows, binding is stable,
//! split INSERTs lose and double no row.
//!
//! Random queries over two tables are planned; those that are accepted for workspace 42 are evaluated twice
//! by a small interpreter with MySQL's three-valued logic: on all rows, and on the rows of workspace 42
//! alone. Both must agree.

use std::fmt::Write;

use bulkhead::ids::WorkspaceId;
use bulkhead::plan::{Address, Destination, Piece};

use crate::golden::{Session, outcome, vschema};

/// Queries made.
const QUERIES: usize = 3_000;
/// The workspace that counts.
const OWN: i64 = 42;

/// A small generator of numbers; the same run every time.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }
}

#[derive(Clone, Copy, PartialEq)]
struct Row {
    workspace: i64,
    id: i64,
}

/// Rows of both tables.
struct Data([Vec<Row>; 2]);

const TABLES: [&str; 2] = ["orders", "notes"];

impl Data {
    fn random(choices: &mut Choices) -> Self {
        let mut rows = || {
            let count = 1 + choices.below(4);
            (0..count)
                .map(|_| Row { workspace: OWN + choices.below(2) as i64, id: choices.below(3) as i64 })
                .collect::<Vec<_>>()
        };
        Self([rows(), rows()])
    }

    fn own(&self) -> Self {
        let own = |rows: &Vec<Row>| rows.iter().filter(|row| row.workspace == OWN).copied().collect();
        Self([own(&self.0[0]), own(&self.0[1])])
    }
}

#[derive(Clone)]
enum Term {
    Workspace(String),
    Id(String),
    Literal(i64),
}

#[derive(Clone)]
enum Expr {
    Equal(Term, Term),
    NullSafe(Term, Term),
    NotEqual(Term, Term),
    In(Term, Vec<i64>),
    IsNull(Term),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Xor(Box<Expr>, Box<Expr>),
    Exists(Box<Query>),
    /// A term in what a query yields: its first relation's workspace or id.
    InQuery(Term, Box<Query>, bool, bool),
}

#[derive(Clone, Copy, PartialEq)]
enum Join {
    Inner,
    Left,
    Right,
}

#[derive(Clone)]
struct Relation {
    join: Join,
    table: usize,
    alias: String,
    on: Option<Expr>,
}

#[derive(Clone)]
struct Query {
    relations: Vec<Relation>,
    condition: Option<Expr>,
}

struct Maker {
    choices: Choices,
    aliases: usize,
}

impl Maker {
    fn query(&mut self, outer: &[String], depth: usize) -> Query {
        let mut relations: Vec<Relation> = Vec::new();
        let mut seen = outer.to_vec();
        for at in 0..1 + self.choices.below(if depth == 0 { 3 } else { 2 }) {
            let alias = format!("t{}", self.aliases);
            self.aliases += 1;
            seen.push(alias.clone());
            let join = [Join::Inner, Join::Left, Join::Right][self.choices.below(3)];
            let on = (at > 0).then(|| self.condition(&seen, depth, 2));
            relations.push(Relation { join, table: self.choices.below(2), alias, on });
        }
        let condition = (!self.choices.one_in(8)).then(|| self.condition(&seen, depth, 3));
        Query { relations, condition }
    }

    fn condition(&mut self, seen: &[String], depth: usize, size: usize) -> Expr {
        if size == 0 {
            return self.atom(seen, depth);
        }
        let two = |maker: &mut Self| {
            let left = Box::new(maker.condition(seen, depth, size - 1));
            (left, Box::new(maker.condition(seen, depth, size - 1)))
        };
        match self.choices.below(12) {
            0..=6 => {
                let (left, right) = two(self);
                Expr::And(left, right)
            }
            7 => {
                let (left, right) = two(self);
                Expr::Or(left, right)
            }
            8 if self.choices.one_in(3) => {
                let (left, right) = two(self);
                Expr::Xor(left, right)
            }
            9 if self.choices.one_in(3) => Expr::Not(Box::new(self.condition(seen, depth, size - 1))),
            _ => self.atom(seen, depth),
        }
    }

    fn alias(&mut self, seen: &[String]) -> String {
        // Later aliases are the query's own.
        let from = if self.choices.one_in(3) { 0 } else { seen.len().saturating_sub(3) };
        seen[from + self.choices.below(seen.len() - from)].clone()
    }

    fn atom(&mut self, seen: &[String], depth: usize) -> Expr {
        let column = Term::Workspace(self.alias(seen));
        match self.choices.below(16) {
            0..=5 => Expr::Equal(column, Term::Literal(OWN)),
            6..=8 => Expr::Equal(column, Term::Workspace(self.alias(seen))),
            9 => Expr::Equal(Term::Id(self.alias(seen)), Term::Id(self.alias(seen))),
            10 => Expr::In(column, vec![OWN; 1 + self.choices.below(2)]),
            11 => Expr::NullSafe(column, Term::Literal(OWN)),
            12 => match self.choices.below(3) {
                0 => Expr::NullSafe(column, Term::Workspace(self.alias(seen))),
                1 => Expr::IsNull(column),
                _ => Expr::NotEqual(column, Term::Literal(OWN)),
            },
            13 if depth < 2 => Expr::Exists(Box::new(self.query(seen, depth + 1))),
            14 if depth < 2 => {
                let by_workspace = self.choices.one_in(2);
                let term = if by_workspace { column } else { Term::Id(self.alias(seen)) };
                let negated = self.choices.one_in(4);
                Expr::InQuery(term, Box::new(self.query(seen, depth + 1)), by_workspace, negated)
            }
            _ => Expr::Equal(Term::Id(self.alias(seen)), Term::Literal(self.choices.below(3) as i64)),
        }
    }
}

// Printing.

fn print_query(query: &Query, projection: &str) -> String {
    let mut text = format!("select {projection} from ");
    for (at, relation) in query.relations.iter().enumerate() {
        let join = match relation.join {
            Join::Inner => "join",
            Join::Left => "left join",
            Join::Right => "right join",
        };
        let name = format!("{} {}", TABLES[relation.table], relation.alias);
        if at == 0 {
            text.push_str(&name);
        } else {
            let _ = write!(text, " {join} {name}");
        }
        if let Some(on) = &relation.on {
            let _ = write!(text, " on {}", print_expr(on));
        }
    }
    if let Some(condition) = &query.condition {
        let _ = write!(text, " where {}", print_expr(condition));
    }
    text
}

fn print_expr(expr: &Expr) -> String {
    match expr {
        Expr::Equal(a, b) => format!("{} = {}", print_term(a), print_term(b)),
        Expr::NullSafe(a, b) => format!("{} <=> {}", print_term(a), print_term(b)),
        Expr::NotEqual(a, b) => format!("{} <> {}", print_term(a), print_term(b)),
        Expr::In(a, list) => {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            format!("{} in ({})", print_term(a), list.join(", "))
        }
        Expr::IsNull(a) => format!("{} is null", print_term(a)),
        Expr::Not(a) => format!("not ({})", print_expr(a)),
        // Parentheses only where MySQL needs them: precedence is part of what is tested.
        Expr::And(a, b) => format!("{} and {}", tight(a), tight(b)),
        Expr::Or(a, b) => format!("({} or {})", print_expr(a), print_expr(b)),
        Expr::Xor(a, b) => format!("({} xor {})", tight(a), tight(b)),
        Expr::Exists(query) => format!("exists ({})", print_query(query, "1")),
        Expr::InQuery(term, query, by_workspace, negated) => {
            let column = if *by_workspace { "workspace_id" } else { "id" };
            let projection = format!("{}.{column}", query.relations[0].alias);
            let not = if *negated { "not in" } else { "in" };
            format!("{} {not} ({})", print_term(term), print_query(query, &projection))
        }
    }
}

/// An operand of AND or XOR; all looser operators bring their own parentheses.
fn tight(expr: &Expr) -> String {
    print_expr(expr)
}

fn print_term(term: &Term) -> String {
    match term {
        Term::Workspace(alias) => format!("{alias}.workspace_id"),
        Term::Id(alias) => format!("{alias}.id"),
        Term::Literal(value) => value.to_string(),
    }
}

// Evaluation.

type Env<'e> = Vec<(&'e str, Option<Row>)>;

fn rows<'e>(query: &'e Query, outer: &Env<'e>, data: &Data) -> Vec<Env<'e>> {
    let mut joined: Vec<Env<'e>> = vec![Vec::new()];
    for (at, relation) in query.relations.iter().enumerate() {
        joined = join(joined, &query.relations[..at], relation, (outer, data));
    }
    let passes = |env: &Env<'e>| {
        let all = with(outer, env);
        query.condition.as_ref().is_none_or(|condition| truth(condition, &all, data) == Some(true))
    };
    joined.into_iter().filter(passes).collect()
}

fn with<'e>(outer: &Env<'e>, inner: &Env<'e>) -> Env<'e> {
    outer.iter().chain(inner).copied().collect()
}

fn join<'e>(
    left: Vec<Env<'e>>,
    before: &'e [Relation],
    relation: &'e Relation,
    (outer, data): (&Env<'e>, &Data),
) -> Vec<Env<'e>> {
    let right = &data.0[relation.table];
    let Some(on) = &relation.on else {
        let first = |row: &Row| vec![(relation.alias.as_str(), Some(*row))];
        return right.iter().map(first).collect();
    };
    let mut result = Vec::new();
    let mut matched_right = vec![false; right.len()];
    for env in &left {
        let mut matched = false;
        for (at, row) in right.iter().enumerate() {
            let mut pair = env.clone();
            pair.push((&relation.alias, Some(*row)));
            if truth(on, &with(outer, &pair), data) == Some(true) {
                matched = true;
                matched_right[at] = true;
                result.push(pair);
            }
        }
        if !matched && relation.join == Join::Left {
            let mut pair = env.clone();
            pair.push((&relation.alias, None));
            result.push(pair);
        }
    }
    if relation.join == Join::Right {
        for (at, row) in right.iter().enumerate() {
            if !matched_right[at] {
                let mut pair: Env<'e> =
                    before.iter().map(|relation| (relation.alias.as_str(), None)).collect();
                pair.push((&relation.alias, Some(*row)));
                result.push(pair);
            }
        }
    }
    result
}

fn value(term: &Term, env: &Env<'_>) -> Option<i64> {
    let row = |alias: &String| env.iter().rev().find(|(name, _)| name == alias).and_then(|(_, row)| *row);
    match term {
        Term::Workspace(alias) => row(alias).map(|row| row.workspace),
        Term::Id(alias) => row(alias).map(|row| row.id),
        Term::Literal(value) => Some(*value),
    }
}

fn truth(expr: &Expr, env: &Env<'_>, data: &Data) -> Option<bool> {
    let both =
        |a, b, compare: fn(i64, i64) -> bool| value(a, env).zip(value(b, env)).map(|(a, b)| compare(a, b));
    match expr {
        Expr::Equal(a, b) => both(a, b, |a, b| a == b),
        Expr::NotEqual(a, b) => both(a, b, |a, b| a != b),
        Expr::NullSafe(a, b) => Some(value(a, env) == value(b, env)),
        Expr::In(a, list) => value(a, env).map(|a| list.contains(&a)),
        Expr::IsNull(a) => Some(value(a, env).is_none()),
        Expr::Not(a) => truth(a, env, data).map(|a| !a),
        Expr::And(a, b) => match (truth(a, env, data), truth(b, env, data)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Expr::Or(a, b) => match (truth(a, env, data), truth(b, env, data)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        Expr::Xor(a, b) => truth(a, env, data).zip(truth(b, env, data)).map(|(a, b)| a != b),
        Expr::Exists(query) => Some(!rows(query, env, data).is_empty()),
        Expr::InQuery(term, query, by_workspace, negated) => {
            let alias = query.relations[0].alias.clone();
            let column = if *by_workspace { Term::Workspace(alias) } else { Term::Id(alias) };
            let yields: Vec<Option<i64>> =
                rows(query, env, data).iter().map(|inner| value(&column, &with(env, inner))).collect();
            is_in(value(term, env), &yields).map(|found| found != *negated)
        }
    }
}

fn is_in(value: Option<i64>, yields: &[Option<i64>]) -> Option<bool> {
    if yields.is_empty() {
        return Some(false);
    }
    let value = value?;
    if yields.contains(&Some(value)) {
        return Some(true);
    }
    if yields.contains(&None) { None } else { Some(false) }
}

/// What a client sees: the ids of all relations, in any order.
fn answer(query: &Query, data: &Data) -> Vec<Vec<Option<(i64, i64)>>> {
    let shown = |env: &Env<'_>| env.iter().map(|(_, row)| row.map(|row| (row.workspace, row.id))).collect();
    let mut answer: Vec<Vec<Option<(i64, i64)>>> = rows(query, &Vec::new(), data).iter().map(shown).collect();
    answer.sort();
    answer
}

#[test]
fn accepted_queries_depend_on_no_other_workspace() {
    let vschema = vschema();
    let session = Session { database: Some("shop".to_owned()), ..Session::default() };
    let mut maker = Maker { choices: Choices(0x9e37_79b9_7f4a_7c15), aliases: 0 };
    let mut accepted = 0;
    for _ in 0..QUERIES {
        maker.aliases = 0;
        let query = maker.query(&[], 0);
        let text = print_query(&query, "*");
        let Some(Ok(destination)) = outcome(&text, &session, &vschema).bound else { continue };
        let Destination::One(Address::Key { workspace, .. }) = &destination else {
            panic!("{text}: {destination:?}");
        };
        assert_eq!(*workspace, Some(WorkspaceId::Number(OWN as u64)), "{text}");
        accepted += 1;
        for _ in 0..6 {
            let data = Data::random(&mut maker.choices);
            assert_eq!(answer(&query, &data), answer(&query, &data.own()), "{text}");
        }
        let again = outcome(&text, &session, &vschema).bound.expect("planned").expect("bound");
        assert_eq!(again, destination, "{text}");
    }
    assert!(accepted > QUERIES / 20, "only {accepted} of {QUERIES} were accepted: the test tests nothing");
}

#[test]
fn split_inserts_lose_and_double_no_row() {
    const VALUES: [&str; 8] =
        ["1", "'a'", "'),('", "\"x\\\"), (\"", "concat('(', ')')", "(1 + 2)", "/* ), ( */ 3", "'it''s'"];
    let vschema = vschema();
    let session = Session { database: Some("shop".to_owned()), ..Session::default() };
    let mut choices = Choices(77);
    for _ in 0..400 {
        let rows: Vec<(usize, String)> = (0..2 + choices.below(12))
            .map(|at| {
                let workspace = 1 + choices.below(3);
                (workspace, format!("({at}, {workspace}, {})", VALUES[choices.below(VALUES.len())]))
            })
            .collect();
        let list: Vec<&str> = rows.iter().map(|(_, row)| row.as_str()).collect();
        let (head, tail) =
            ("insert into orders (id, workspace_id, note) values ", " on duplicate key update note = 'x'");
        let text = format!("{head}{}{tail}", list.join([", ", ",", " , /* b */ "][choices.below(3)]));
        let pieces = match outcome(&text, &session, &vschema).bound {
            Some(Ok(Destination::Split(pieces))) => pieces,
            Some(Ok(Destination::One(_))) => continue,
            other => panic!("{text}: {other:?}"),
        };
        let mut found = 0;
        for Piece { address, text: piece, params } in &pieces {
            assert!(params.is_empty());
            let piece = String::from_utf8(piece.clone()).expect("pieces are text");
            let workspace = address.workspace().expect("rows belong to workspaces").to_string();
            let own: Vec<&str> = rows
                .iter()
                .filter(|(number, _)| number.to_string() == workspace)
                .map(|(_, row)| row.as_str())
                .collect();
            assert_eq!(piece, format!("{head}{}{tail}", own.join(", ")), "{text}");
            found += own.len();
            match outcome(&piece, &session, &vschema).bound {
                Some(Ok(Destination::One(again))) => assert_eq!(again, *address, "{piece}"),
                other => panic!("{piece}: {other:?}"),
            }
        }
        assert_eq!(found, rows.len(), "{text}");
    }
}
