-- Register of deaths; an entry may be sent again under another record id.
-- Grain: one row per source key (id). Source: civil_registry.khai_tu.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['death_key']},
    ],
) }}

with

versions as ({{ newest_versions('civil_registry', 'khai_tu', ['id']) }}
),

dated as (
    select
        versions.*,
        {{ dotted_date_digits('"nktNgaySinh"') }} as birth_digits,
        {{ dotted_date_digits('"nktNgayChet"') }} as death_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['id'], 'daXoa') }},
        id as death_record_id,
        {{ clean_code('so') }} as entry_number,
        {{ clean_code('"quyenSo"') }} as book_number,
        {{ clean_code('"trangSo"') }} as page_number,
        "ngayDangKy" as registered_on,
        {{ common_code('death_registration', 'civil_registry', '"loaiDangKy"') }} as registration_code,
        {{ clean_code('"noiDangKy"') }} as registration_commune_code,
        {{ clean_code('"maHuyen"') }} as registration_district_code,
        {{ key_of('death', ['"noiDangKy"', '"quyenSo"', 'so', '"ngayDangKy"']) }} as death_key,
        {{ common_code('sex', 'civil_registry', '"nktGioiTinh"') }} as sex,
        {{ clean_code('"nktSoDinhDanh"') }} as personal_id,
        {{ clean_words('"nktHoTen"') }} as full_name,
        {{ partial_date('birth_digits') }} as birth_date,
        {{ partial_year('birth_digits') }} as birth_year,
        {{ partial_precision('birth_digits') }} as birth_precision,
        {{ common_code('ethnicity', 'civil_registry', '"nktDanToc"') }} as ethnicity,
        {{ common_code('nationality', 'civil_registry', '"nktQuocTich"') }} as nationality,
        {{ common_code('residence_kind', 'civil_registry', '"nktLoaiCuTru"') }} as residence_kind_code,
        {{ clean_words('"nktNoiCuTru"') }} as residence_address,
        {{ common_code('paper_kind', 'civil_registry', '"nktLoaiGiayToTuyThan"') }} as paper_kind_code,
        {{ clean_code('"nktSoGiayToTuyThan"') }} as paper_number,
        {{ partial_date('death_digits') }} as death_date,
        {{ partial_year('death_digits') }} as death_year,
        {{ partial_precision('death_digits') }} as death_precision,
        {{ clock_time('"nktGioPhutChet"') }} as death_time,
        {{ clean_words('"nktNoiChet"') }} as death_place,
        {{ clean_words('"nktNguyenNhanChet"') }} as death_cause,
        {{ clean_code('"gbtSo"') }} as death_paper_code,
        "gbtNgay" as death_paper_issued_on,
        {{ clean_words('"gbtCoQuanCap"') }} as death_paper_issuer,
        {{ clean_words('"nycHoTen"') }} as applicant_name,
        {{ clean_words('"nycQuanHe"') }} as applicant_relation
    from dated
    offset 0
),

{{ changed_rows('typed') }}
