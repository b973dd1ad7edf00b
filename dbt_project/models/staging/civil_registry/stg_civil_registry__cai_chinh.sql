-- Register of changes and corrections of civil status.
-- Grain: one row per source key (id). Source: civil_registry.cai_chinh.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('civil_registry', 'cai_chinh', ['id']) }}
),

dated as (
    select
        versions.*,
        {{ dotted_date_digits('"nccNgaySinh"') }} as birth_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['id'], 'daXoa') }},
        id as correction_record_id,
        {{ clean_code('so') }} as entry_number,
        {{ clean_code('"quyenSo"') }} as book_number,
        {{ clean_code('"trangSo"') }} as page_number,
        "ngayDangKy" as registered_on,
        {{ common_code('civil_status_change', 'civil_registry', '"loaiDangKy"') }} as registration_code,
        {{ clean_code('"noiDangKy"') }} as registration_commune_code,
        {{ clean_code('"maHuyen"') }} as registration_district_code,
        {{ common_code('corrected_register', 'civil_registry', '"loaiGiayToGoc"') }} as corrected_register_code,
        "idGoc" as corrected_record_id,
        {{ clean_words('"nccHoTen"') }} as full_name,
        {{ common_code('sex', 'civil_registry', '"nccGioiTinh"') }} as sex,
        {{ partial_date('birth_digits') }} as birth_date,
        {{ partial_year('birth_digits') }} as birth_year,
        {{ partial_precision('birth_digits') }} as birth_precision,
        {{ clean_code('"nccSoDinhDanh"') }} as personal_id,
        {{ common_code('corrected_field', 'civil_registry', '"truongCaiChinh"') }} as corrected_field,
        {{ clean_words('"giaTriCu"') }} as old_value,
        {{ clean_words('"giaTriMoi"') }} as new_value,
        {{ clean_words('"lyDo"') }} as reason
    from dated
    offset 0
),

{{ changed_rows('typed') }}
