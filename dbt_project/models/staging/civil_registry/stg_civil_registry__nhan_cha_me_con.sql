-- Register of recognitions of parents and children.
-- Grain: one row per source key (id). Source: civil_registry.nhan_cha_me_con.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('civil_registry', 'nhan_cha_me_con', ['id']) }}
),

dated as (
    select
        versions.*,
        {{ dotted_date_digits('"cmNgaySinh"') }} as parent_birth_digits,
        {{ dotted_date_digits('"ncNgaySinh"') }} as child_birth_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['id'], 'daXoa') }},
        id as recognition_record_id,
        {{ clean_code('so') }} as entry_number,
        {{ clean_code('"quyenSo"') }} as book_number,
        {{ clean_code('"trangSo"') }} as page_number,
        {{ clean_code('"quyetDinhSo"') }} as decision_number,
        "ngayDangKy" as registered_on,
        {{ common_code('registration', 'civil_registry', '"loaiDangKy"') }} as registration_code,
        {{ common_code('recognition', 'civil_registry', '"loaiXacNhan"') }} as recognition_code,
        {{ clean_code('"noiDangKy"') }} as registration_commune_code,
        {{ clean_code('"maHuyen"') }} as registration_district_code,
        {{ clean_words('"cmHoTen"') }} as parent_name,
        {{ partial_date('parent_birth_digits') }} as parent_birth_date,
        {{ partial_year('parent_birth_digits') }} as parent_birth_year,
        {{ partial_precision('parent_birth_digits') }} as parent_birth_precision,
        {{ common_code('ethnicity', 'civil_registry', '"cmDanToc"') }} as parent_ethnicity,
        {{ common_code('nationality', 'civil_registry', '"cmQuocTich"') }} as parent_nationality,
        {{ common_code('residence_kind', 'civil_registry', '"cmLoaiCuTru"') }} as parent_residence_kind_code,
        {{ clean_words('"cmNoiCuTru"') }} as parent_residence_address,
        {{ common_code('paper_kind', 'civil_registry', '"cmLoaiGiayToTuyThan"') }} as parent_paper_kind_code,
        {{ clean_code('"cmSoGiayToTuyThan"') }} as parent_paper_number,
        {{ clean_words('"ncHoTen"') }} as child_name,
        {{ partial_date('child_birth_digits') }} as child_birth_date,
        {{ partial_year('child_birth_digits') }} as child_birth_year,
        {{ partial_precision('child_birth_digits') }} as child_birth_precision,
        {{ common_code('ethnicity', 'civil_registry', '"ncDanToc"') }} as child_ethnicity,
        {{ clean_code('"ncSoDinhDanh"') }} as child_personal_id
    from dated
    offset 0
),

{{ changed_rows('typed') }}
