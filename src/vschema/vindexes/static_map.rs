//! `numeric_static_map`: number → number by a map of the file; what the map does not hold goes by
//! `fallback_type`, else is its own keyspace id.

use std::collections::HashMap;

use crate::ids::KeyspaceId;

use super::super::value::Value;
use super::number::to_u64;
use super::params::{ParamFault, Params};
use super::{Function, VindexError};

/// The map and the way for the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StaticMap {
    map: HashMap<u64, u64>,
    fallback: Option<Box<Function>>,
}

impl StaticMap {
    pub(super) fn try_new(params: &mut Params<'_>) -> Result<Self, ParamFault> {
        let fallback = match params.take("fallback_type") {
            None | Some("") => None,
            Some(kind) => Some(Box::new(Function::hashing(kind).ok_or_else(|| {
                ParamFault::of(
                    "fallback_type",
                    format!("`{kind}` is not a vindex type that hashes one column"),
                )
            })?)),
        };
        let map = match (params.take("json"), params.take("json_path")) {
            (Some(json), None) => parse("json", json)?,
            (None, Some(path)) => parse("json_path", &params.read("json_path", path)?)?,
            (Some(_), Some(_)) => {
                return Err(ParamFault::of("json_path", "give `json` or `json_path`, not both"));
            }
            (None, None) => {
                return Err(ParamFault::of("json", "numeric_static_map needs `json` or `json_path`"));
            }
        };
        Ok(Self { map, fallback })
    }

    pub(super) fn hash(&self, value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
        let number = to_u64(value, "numeric_static_map", "whole numbers from 0 to 18446744073709551615")?;
        match (self.map.get(&number), &self.fallback) {
            (Some(mapped), _) => Ok(KeyspaceId::from(*mapped)),
            (None, Some(fallback)) => fallback.hash(value),
            (None, None) => Ok(KeyspaceId::from(number)),
        }
    }
}

fn parse(param: &str, json: &str) -> Result<HashMap<u64, u64>, ParamFault> {
    let read: HashMap<String, u64> = serde_json::from_str(json)
        .map_err(|error| ParamFault::of(param, format!("not a JSON object of whole numbers: {error}")))?;
    let number = |(key, id): (String, u64)| match key.parse() {
        Ok(key) => Ok((key, id)),
        Err(_) => Err(ParamFault::of(param, format!("the key `{key}` is not a whole number"))),
    };
    read.into_iter().map(number).collect()
}
