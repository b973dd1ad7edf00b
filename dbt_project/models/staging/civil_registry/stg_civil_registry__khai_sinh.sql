-- Register of births; an entry may be sent again under another record id.
-- Grain: one row per source key (id). Source: civil_registry.khai_sinh.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['birth_key']},
    ],
) }}

with

versions as ({{ newest_versions('civil_registry', 'khai_sinh', ['id']) }}
),

dated as (
    select
        versions.*,
        {{ dotted_date_digits('"nksNgaySinh"') }} as child_birth_digits,
        {{ dotted_date_digits('"meNgaySinh"') }} as mother_birth_digits,
        {{ dotted_date_digits('"chaNgaySinh"') }} as father_birth_digits
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['id'], 'daXoa') }},
        id as birth_record_id,
        {{ clean_code('so') }} as entry_number,
        {{ clean_code('"quyenSo"') }} as book_number,
        {{ clean_code('"trangSo"') }} as page_number,
        "ngayDangKy" as registered_on,
        {{ common_code('birth_registration', 'civil_registry', '"loaiDangKy"') }} as registration_code,
        {{ clean_code('"noiDangKy"') }} as registration_commune_code,
        {{ clean_code('"maHuyen"') }} as registration_district_code,
        {{ key_of('birth', ['"noiDangKy"', '"quyenSo"', 'so', '"ngayDangKy"']) }} as birth_key,
        {{ clean_code('"nksSoDinhDanh"') }} as child_personal_id,
        {{ clean_words('"nksHoTen"') }} as child_name,
        {{ common_code('sex', 'civil_registry', '"nksGioiTinh"') }} as child_sex,
        {{ partial_date('child_birth_digits') }} as child_birth_date,
        {{ partial_year('child_birth_digits') }} as child_birth_year,
        {{ partial_precision('child_birth_digits') }} as child_birth_precision,
        {{ clean_words('"nksNgaySinhBangChu"') }} as child_birth_in_words,
        {{ clean_words('"nksNoiSinh"') }} as birth_place,
        {{ clean_code('"nksNoiSinhDVHC"') }} as birth_commune_code,
        {{ clean_words('"nksQueQuan"') }} as native_place,
        {{ common_code('ethnicity', 'civil_registry', '"nksDanToc"') }} as child_ethnicity,
        {{ common_code('nationality', 'civil_registry', '"nksQuocTich"') }} as child_nationality,
        {{ clean_code('"soGiayChungSinh"') }} as birth_paper_code,
        {{ clean_words('"meHoTen"') }} as mother_name,
        {{ partial_date('mother_birth_digits') }} as mother_birth_date,
        {{ partial_year('mother_birth_digits') }} as mother_birth_year,
        {{ partial_precision('mother_birth_digits') }} as mother_birth_precision,
        {{ common_code('ethnicity', 'civil_registry', '"meDanToc"') }} as mother_ethnicity,
        {{ common_code('nationality', 'civil_registry', '"meQuocTich"') }} as mother_nationality,
        {{ common_code('residence_kind', 'civil_registry', '"meLoaiCuTru"') }} as mother_residence_kind_code,
        {{ clean_words('"meNoiCuTru"') }} as mother_residence_address,
        {{ common_code('paper_kind', 'civil_registry', '"meLoaiGiayToTuyThan"') }} as mother_paper_kind_code,
        {{ clean_code('"meSoGiayToTuyThan"') }} as mother_paper_number,
        {{ clean_words('"chaHoTen"') }} as father_name,
        {{ partial_date('father_birth_digits') }} as father_birth_date,
        {{ partial_year('father_birth_digits') }} as father_birth_year,
        {{ partial_precision('father_birth_digits') }} as father_birth_precision,
        {{ common_code('ethnicity', 'civil_registry', '"chaDanToc"') }} as father_ethnicity,
        {{ common_code('nationality', 'civil_registry', '"chaQuocTich"') }} as father_nationality,
        {{ common_code('residence_kind', 'civil_registry', '"chaLoaiCuTru"') }} as father_residence_kind_code,
        {{ clean_words('"chaNoiCuTru"') }} as father_residence_address,
        {{ common_code('paper_kind', 'civil_registry', '"chaLoaiGiayToTuyThan"') }} as father_paper_kind_code,
        {{ clean_code('"chaSoGiayToTuyThan"') }} as father_paper_number,
        {{ clean_words('"nycHoTen"') }} as applicant_name,
        {{ clean_words('"nycQuanHe"') }} as applicant_relation,
        "thongTinKhac" as other_information
    from dated
    offset 0
),

{{ changed_rows('typed') }}
