-- Places of civil registration (reference, read whole): codes were reused on 2025-07-01, so the key holds the date too.
-- Grain: one row per source key (maDVHC, hieuLucTu). Source: civil_registry.noi_dang_ky.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('civil_registry', 'noi_dang_ky', ['maDVHC', 'hieuLucTu']) }}
),

typed as (
    select
        {{ staging_columns(['maDVHC', 'hieuLucTu']) }},
        {{ clean_code('"maDVHC"') }} as unit_code,
        "hieuLucTu" as valid_from,
        "hieuLucDen" as valid_to,
        {{ clean_text('"tenNoiDangKy"') }} as office_name,
        {{ common_code('office_level', 'civil_registry', '"capDangKy"') }} as office_level_code,
        {{ clean_code('"maHuyen"') }} as district_code,
        {{ clean_code('"maTinh"') }} as province_code
    from versions
    offset 0
),

{{ changed_rows('typed') }}
