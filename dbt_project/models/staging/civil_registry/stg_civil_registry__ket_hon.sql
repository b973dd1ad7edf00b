-- Register of marriages; an entry may be sent again under another record id.
-- Grain: one row per source key (id). Source: civil_registry.ket_hon.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['marriage_key']},
    ],
) }}

with

versions as ({{ newest_versions('civil_registry', 'ket_hon', ['id']) }}
),

dated as (
    select
        versions.*,
        {{ dotted_date_digits('"chongNgaySinh"') }} as husband_birth_digits,
        {{ dotted_date_digits('"voNgaySinh"') }} as wife_birth_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['id'], 'daXoa') }},
        id as marriage_record_id,
        {{ clean_code('so') }} as entry_number,
        {{ clean_code('"quyenSo"') }} as book_number,
        {{ clean_code('"trangSo"') }} as page_number,
        "ngayDangKy" as registered_on,
        {{ common_code('registration', 'civil_registry', '"loaiDangKy"') }} as registration_code,
        {{ clean_code('"noiDangKy"') }} as registration_commune_code,
        {{ clean_code('"maHuyen"') }} as registration_district_code,
        {{ key_of('marriage', ['"noiDangKy"', '"quyenSo"', 'so', '"ngayDangKy"']) }} as marriage_key,
        {{ clean_words('"chongHoTen"') }} as husband_name,
        {{ partial_date('husband_birth_digits') }} as husband_birth_date,
        {{ partial_year('husband_birth_digits') }} as husband_birth_year,
        {{ partial_precision('husband_birth_digits') }} as husband_birth_precision,
        {{ common_code('ethnicity', 'civil_registry', '"chongDanToc"') }} as husband_ethnicity,
        {{ common_code('nationality', 'civil_registry', '"chongQuocTich"') }} as husband_nationality,
        {{ common_code('residence_kind', 'civil_registry', '"chongLoaiCuTru"') }} as husband_residence_kind_code,
        {{ clean_words('"chongNoiCuTru"') }} as husband_residence_address,
        {{ common_code('paper_kind', 'civil_registry', '"chongLoaiGiayToTuyThan"') }} as husband_paper_kind_code,
        {{ clean_code('"chongSoGiayToTuyThan"') }} as husband_paper_number,
        {{ clean_words('"voHoTen"') }} as wife_name,
        {{ partial_date('wife_birth_digits') }} as wife_birth_date,
        {{ partial_year('wife_birth_digits') }} as wife_birth_year,
        {{ partial_precision('wife_birth_digits') }} as wife_birth_precision,
        {{ common_code('ethnicity', 'civil_registry', '"voDanToc"') }} as wife_ethnicity,
        {{ common_code('nationality', 'civil_registry', '"voQuocTich"') }} as wife_nationality,
        {{ common_code('residence_kind', 'civil_registry', '"voLoaiCuTru"') }} as wife_residence_kind_code,
        {{ clean_words('"voNoiCuTru"') }} as wife_residence_address,
        {{ common_code('paper_kind', 'civil_registry', '"voLoaiGiayToTuyThan"') }} as wife_paper_kind_code,
        {{ clean_code('"voSoGiayToTuyThan"') }} as wife_paper_number,
        {{ common_code('marriage_status', 'civil_registry', '"tinhTrangKetHon"') }} as status_code
    from dated
    offset 0
),

{{ changed_rows('typed') }}
