-- What a value must be (docs/quality.md). Every function is immutable, raises nothing, and answers NULL for NULL: whether a value
-- must be there is a rule of its own. Values come cleaned: padded numbers, dates in one form. Few are declared strict: PostgreSQL
-- puts the body of a strict function in place of its call only where every part of it is strict, and a call costs ten tests.

-- 'yyyymmdd' with 00 for an unknown day, or day and month, is on the calendar.
create or replace function valid.calendar(digits text) returns boolean
language sql immutable parallel safe
begin atomic
    select case
        when digits ~ '^[12]\d{3}0229$' then
            left(digits, 4)::int % 4 = 0 and (left(digits, 4)::int % 100 <> 0 or left(digits, 4)::int % 400 = 0)
        else
            digits ~ '^[12]\d{3}(0000|(0[1-9]|1[0-2])(0\d|1\d|2[0-8])|(0[13-9]|1[0-2])(29|30)|(0[13578]|1[02])31)$'
    end;
end;

-- yyyymmdd or yyyymmddHHMM, zeros for unknown parts (QĐ 130/QĐ-BYT's way).
create or replace function valid.compact_date(value text) returns boolean
language sql immutable parallel safe
begin atomic
    select case
        -- Most are days up to the 28th, which need no calendar.
        when
            length(value) in (8, 12) and value !~ '[^0-9]' and left(value, 1) in ('1', '2')
            and substr(value, 5, 2) between '01' and '12' and substr(value, 7, 2) between '01' and '28'
            and (length(value) = 8 or (substr(value, 9, 2) <= '23' and substr(value, 11, 1) <= '5'))
            then true
        else value ~ '^\d{8}(([01]\d|2[0-3])[0-5]\d)?$' and valid.calendar(left(value, 8))
    end;
end;

-- dd.mm.yyyy, mm.yyyy or yyyy (the civil registry's way).
create or replace function valid.dotted_date(value text) returns boolean
language sql immutable parallel safe
begin atomic
    select case
        -- Most are days up to the 28th, which need no calendar.
        when
            value like '__.__.____' and value not like '%.%.%.%' and value !~ '[^0-9.]' and substr(value, 7, 1) in ('1', '2')
            and left(value, 2) between '01' and '28' and substr(value, 4, 2) between '01' and '12'
            then true
        else
            value ~ '^(\d\d\.){0,2}\d{4}$' and valid.calendar(
                right(value, 4)
                || case when length(value) > 4 then substr(value, length(value) - 6, 2) else '00' end
                || case when length(value) = 10 then left(value, 2) else '00' end
            )
    end;
end;

-- The year in any of these forms, or in yyyymm; NULL where there is none.
create or replace function valid.year_of(value text) returns integer
language sql immutable parallel safe
begin atomic
    select case
        when value ~ '^[12]\d{3}(\d\d|\d{4}|\d{8})$' then left(value, 4)::int
        when value ~ '^(\d\d\.){0,2}[12]\d{3}$' then right(value, 4)::int
    end;
end;

-- A dotted date turned round: yyyymmdd, yyyymm or yyyy; NULL where it is none. (Cut by position: a replacement by regular
-- expression takes a hundred times as long.)
create or replace function valid.dotted_digits(value text) returns text
language sql immutable parallel safe
begin atomic
    select case
        when value like '__.__.____' and value not like '%.%.%.%' and value !~ '[^0-9.]'
            then right(value, 4) || substr(value, 4, 2) || left(value, 2)
        when value !~ '^(\d\d\.){0,2}\d{4}$' then null
        when length(value) = 10 then right(value, 4) || substr(value, 4, 2) || left(value, 2)
        when length(value) = 7 then right(value, 4) || left(value, 2)
        else value
    end;
end;

-- Whether one date is not after another, both as yyyymmdd, yyyymm or yyyy: compared in as many digits as both have.
create or replace function valid.in_order(earlier text, later text) returns boolean
language sql immutable parallel safe
begin atomic
    select left(later, length(earlier)) >= left(earlier, length(later));
end;

-- The day of a dotted date; NULL where it is not known to the day, or is on no calendar.
create or replace function valid.day_of(value text) returns date
language sql immutable parallel safe
begin atomic
    select case
        when length(value) = 10 and left(value, 2) <> '00' and valid.dotted_date(value)
            then make_date(right(value, 4)::int, substr(value, 4, 2)::int, left(value, 2)::int)
    end;
end;

-- A school year names two years, the second the one after the first: 2025-2026.
create or replace function valid.school_year(value text) returns boolean
language sql immutable parallel safe
begin atomic
    select case
        when value ~ '^\d{4}-\d{4}$' then right(value, 4)::int = left(value, 4)::int + 1
        when value is not null then false
    end;
end;

-- Số định danh (NĐ 137/2015 Đ13, TT 59/2021/TT-BCA): 12 digits; the fourth tells century and sex, the next two the year of
-- birth. Sex is '1' male or '2' female, anything else unknown; the year may be unknown. The first three digits are not held
-- against the list of 1/7/2025: numbers keep the province of long ago, and countries have prefixes of their own (assumption).
create or replace function valid.personal_id(value text, sex text, birth_year integer) returns boolean
language sql immutable parallel safe
begin atomic
    select case
        when length(value) = 12 and value !~ '[^0-9]' then
            value not like '000%'
            and coalesce(sex not in ('1', '2') or (substr(value, 4, 1)::int % 2 = 0) = (sex = '1'), true)
            -- (Named once, so that an expression may stand for it: PostgreSQL calls the function where it would be computed twice.)
            and coalesce(birth_year = 1900 + substr(value, 4, 1)::int / 2 * 100 + substr(value, 5, 2)::int, true)
        when value is not null then false
    end;
end;

-- A paper of identity: a số định danh as above, or what is shorter: a CMND of nine digits, a passport (nine characters at most).
create or replace function valid.paper(value text, sex text, birth_year integer) returns boolean
language sql immutable parallel safe
begin atomic
    select case when length(value) <= 9 then true else valid.personal_id(value, sex, birth_year) end;
end;

-- A paper's number has the form of the kind of paper: '1' CMND nine digits (or twelve: the last ones had the số định danh),
-- '4' CCCD twelve; other kinds may have any.
create or replace function valid.paper_of_kind(value text, kind text) returns boolean
language sql immutable parallel safe
begin atomic
    select case kind
        when '1' then value ~ '^(\d{9}|\d{12})$'
        when '4' then value ~ '^\d{12}$'
    end;
end;

-- A name with the family name last: the first word is no family name, the last one is. (Not strict, so that it is inlined.)
create or replace function valid.family_last(name text) returns boolean
language sql immutable parallel safe
begin atomic
    select not clean.is_family_name(split_part(name, ' ', 1)) and clean.is_family_name(split_part(name, ' ', -1));
end;

-- Mã cơ quan: level by level from the first one, H56.12.03 (QĐ 20/2020), or turned round and padded, 000.03.12.H56 (QCVN 102:2016).
create or replace function valid.agency_code(value text) returns boolean
language sql immutable parallel safe
begin atomic
    select length(value) <= 35 and value ~ '^([A-Z]\d{2}(\.\d{1,4})*|(\d{2,3}\.)+[A-Z]\d{2})$';
end;

-- Mã số thuế: ten digits, the last one a check digit; with -001 to -999 a branch; twelve digits are a số định danh (TT 86/2024).
create or replace function valid.tax_code(value text) returns boolean
language sql immutable parallel safe
begin atomic
    select case
        when value ~ '^\d{10}(-\d{3})?$' then
            value !~ '-000$'
            and substr(value, 10, 1)::int = 10 - (
                31 * substr(value, 1, 1)::int + 29 * substr(value, 2, 1)::int + 23 * substr(value, 3, 1)::int
                + 19 * substr(value, 4, 1)::int + 17 * substr(value, 5, 1)::int + 13 * substr(value, 6, 1)::int
                + 7 * substr(value, 7, 1)::int + 5 * substr(value, 8, 1)::int + 3 * substr(value, 9, 1)::int
            ) % 11
        when value is not null then coalesce(valid.personal_id(value, null, null), false)
    end;
end;

-- Mã hồ sơ: agency, day of receipt yymmdd, number.
create or replace function valid.dossier_code(value text) returns boolean
language sql immutable parallel safe
begin atomic
    select value ~ '^[0-9A-Z.]+-\d{6}-\d+$' and valid.calendar('20' || split_part(value, '-', 2));
end;

-- Whether two names may be one person's: the same words without accents, in whatever order.
create or replace function valid.same_name(one text, other text) returns boolean
language sql immutable strict parallel safe
begin atomic
    select one = other or (
        (select array_agg(word order by word) from regexp_split_to_table(clean.folded(one), ' ') as word)
        = (select array_agg(word order by word) from regexp_split_to_table(clean.folded(other), ' ') as word)
    );
end;
