-- Keys that mean nothing outside: HMAC-SHA256 of business keys (RFC 2104), the first 128 bits as 32 letters g to v.
-- Every purpose (a pupil's key, a visit's) has a secret of its own. It follows from the setting pdic.key_root, which pdic.release.keys
-- gives to a session as it begins: where it is missing, these functions fail. pdic.release.keys.key_of does the same in Python.

-- The secret, filled up to a block of SHA-256, each byte xor `pad`: 54 for the inner hash, 92 for the outer one.
create or replace function clean.hmac_block(secret bytea, pad integer) returns bytea
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    block bytea := secret || decode(repeat('00', 64 - length(secret)), 'hex');
begin
    for place in 0..63 loop
        block := set_byte(block, place, get_byte(block, place) # pad);
    end loop;
    return block;
end
$$;

-- One of the two blocks of a purpose. A statement asks for each once, whatever number of rows it makes keys for.
create or replace function clean.key_block(purpose text, pad integer) returns bytea
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
    select clean.hmac_block(
        sha256(
            clean.hmac_block(decode(current_setting('pdic.key_root'), 'hex'), 92)
            || sha256(
                clean.hmac_block(decode(current_setting('pdic.key_root'), 'hex'), 54)
                || convert_to('key of ' || purpose, 'UTF8')
            )
        ),
        pad
    );
end;

-- The key of a value, by the two blocks of its purpose. Without settings of its own, so that PostgreSQL takes it into the statement.
create or replace function clean.key_of(value text, inner_block bytea, outer_block bytea) returns text
language sql immutable parallel safe
begin atomic
    select translate(
        left(encode(sha256(outer_block || sha256(inner_block || convert_to(value, 'UTF8'))), 'hex'), 32),
        '0123456789abcdef', 'ghijklmnopqrstuv'
    );
end;
