//! The functions that MySQL and MariaDB bring along.
//!
//! What is not in this list is a stored or loadable function: it may read or write anything.

/// What calling a function means to routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FunctionKind {
    /// Depends on its arguments (or time, chance) only.
    Pure,
    /// Depends on the session or connection.
    Session,
    /// Combines rows.
    Aggregate,
    /// Waits, locks, or changes something on the server.
    Acting,
    /// Not MySQL's own.
    Unknown,
}

/// What kind of function bears the name, in any case.
pub(crate) fn function_kind(name: &str) -> FunctionKind {
    if name.len() > LONGEST || !name.is_ascii() {
        return FunctionKind::Unknown;
    }
    let name = name.to_ascii_lowercase();
    let is = |list: &str| list.split_ascii_whitespace().any(|known| known == name);
    if is(AGGREGATE) {
        FunctionKind::Aggregate
    } else if is(SESSION) {
        FunctionKind::Session
    } else if is(ACTING) {
        FunctionKind::Acting
    } else if is(PURE) || name.strip_prefix("st_").is_some_and(is_spatial) {
        FunctionKind::Pure
    } else {
        FunctionKind::Unknown
    }
}

fn is_spatial(rest: &str) -> bool {
    SPATIAL.split_ascii_whitespace().any(|known| known == rest)
}

/// Longest name in the lists, in bytes, with room.
const LONGEST: usize = 40;

const AGGREGATE: &str = "any_value avg bit_and bit_or bit_xor count cume_dist dense_rank first_value \
    group_concat json_arrayagg json_objectagg lag last_value lead max median min nth_value ntile \
    percent_rank percentile_cont percentile_disc rank row_number st_collect std stddev stddev_pop \
    stddev_samp sum var_pop var_samp variance grouping";

const SESSION: &str = "connection_id current_role current_user database found_rows icu_version \
    last_insert_id ps_current_thread_id ps_thread_id roles_graphml row_count schema session_user \
    system_user user version statement_digest statement_digest_text values value coercibility charset \
    collation binlog_gtid_pos default encode decode";

const ACTING: &str = "benchmark get_lock is_free_lock is_used_lock load_file master_pos_wait \
    source_pos_wait master_gtid_wait nextval lastval setval release_all_locks release_lock sleep \
    uuid_short wait_for_executed_gtid_set wait_until_sql_thread_after_gtids gtid_subset gtid_subtract \
    service_get_read_locks service_get_write_locks service_release_locks version_tokens_lock_shared \
    version_tokens_lock_exclusive version_tokens_unlock";

const PURE: &str = "abs acos adddate addtime add_months aes_decrypt aes_encrypt ascii asin atan atan2 bin \
    bin_to_uuid bit_count bit_length cast ceil ceiling char character_length char_length chr coalesce \
    column_add column_check column_create column_delete column_exists column_get column_json column_list \
    compress concat concat_ws conv convert convert_tz cos cot crc32 crc32c curdate current_date \
    current_time current_timestamp curtime date datediff date_add date_format date_sub day dayname \
    dayofmonth dayofweek dayofyear degrees des_decrypt des_encrypt elt encrypt exp export_set extract \
    extractvalue field find_in_set floor format format_bytes format_pico_time from_base64 from_days \
    from_unixtime geomcollection geometrycollection get_format greatest hex hour if ifnull inet6_aton \
    inet6_ntoa inet_aton inet_ntoa insert instr interval is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 \
    is_uuid isnull json_array json_array_append json_array_insert json_array_intersect json_compact \
    json_contains json_contains_path json_depth json_detailed json_equals json_exists json_extract \
    json_insert json_keys json_length json_loose json_merge json_merge_patch json_merge_preserve \
    json_normalize json_object json_object_filter_keys json_object_to_array json_overlaps json_pretty \
    json_query json_quote json_remove json_replace json_schema_valid json_schema_validation_report \
    json_search json_set json_storage_free json_storage_size json_table json_type json_unquote json_valid \
    json_value kdf last_day lcase least left length lengthb linestring ln localtime localtimestamp locate \
    log log10 log2 lower lpad ltrim make_set makedate maketime match mbrcontains mbrcoveredby mbrcovers \
    mbrdisjoint mbrequal mbrequals mbrintersects mbroverlaps mbrtouches mbrwithin md5 microsecond mid \
    minute mod month monthname multilinestring multipoint multipolygon name_const natural_sort_key now \
    nullif nvl nvl2 oct octet_length old_password ord password period_add period_diff pi point polygon \
    position pow power quarter quote radians rand random_bytes regexp_instr regexp_like regexp_replace \
    regexp_substr repeat replace reverse right round row rpad rtrim sec_to_time second sformat sha sha1 \
    sha2 sign sin soundex space sqrt strcmp str_to_date subdate substr substring substring_index subtime \
    sysdate tan time timediff timestamp timestampadd timestampdiff time_format time_to_sec to_base64 \
    to_char to_days to_number to_seconds trim truncate ucase uncompress uncompressed_length unhex \
    unix_timestamp updatexml upper utc_date utc_time utc_timestamp uuid uuid_to_bin uuid_v4 uuid_v7 \
    validate_password_strength vec_distance vec_distance_cosine vec_distance_euclidean vec_fromtext \
    vec_totext vector_dim vector_to_string string_to_vector distance week weekday weekofyear weight_string \
    wsrep_last_seen_gtid year yearweek binary ltrim_oracle geomfromtext geometryfromtext astext aswkt \
    asbinary aswkb geomfromwkb x y";

const SPATIAL: &str = "area asbinary aswkb asgeojson astext aswkt boundary buffer buffer_strategy centroid \
    contains convexhull crosses difference dimension disjoint distance distance_sphere endpoint envelope \
    equals exteriorring frechetdistance geohash geomcollfromtext geometrycollectionfromtext \
    geomcollfromtxt geomcollfromwkb geometrycollectionfromwkb geometryn geometrytype geomfromgeojson \
    geomfromtext geometryfromtext geomfromwkb geometryfromwkb hausdorffdistance interiorringn intersection \
    intersects isclosed isempty isring issimple isvalid latfromgeohash latitude length linefromtext \
    linestringfromtext linefromwkb linestringfromwkb lineinterpolatepoint lineinterpolatepoints \
    longfromgeohash longitude makeenvelope mlinefromtext multilinestringfromtext mlinefromwkb \
    multilinestringfromwkb mpointfromtext multipointfromtext mpointfromwkb multipointfromwkb mpolyfromtext \
    multipolygonfromtext mpolyfromwkb multipolygonfromwkb numgeometries numinteriorring numinteriorrings \
    numpoints overlaps pointatdistance pointfromgeohash pointfromtext pointfromwkb pointn pointonsurface \
    polyfromtext polygonfromtext polyfromwkb polygonfromwkb relate simplify srid startpoint swapxy \
    symdifference touches transform union validate within x y";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_known_in_any_case() {
        assert_eq!(function_kind("CoAlEsCe"), FunctionKind::Pure);
        assert_eq!(function_kind("COUNT"), FunctionKind::Aggregate);
        assert_eq!(function_kind("GET_LOCK"), FunctionKind::Acting);
        assert_eq!(function_kind("DATABASE"), FunctionKind::Session);
        assert_eq!(function_kind("ST_Distance"), FunctionKind::Pure);
        assert_eq!(function_kind("my_own"), FunctionKind::Unknown);
    }
}
