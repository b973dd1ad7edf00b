-- Dossiers of administrative procedures. A dossier that was entered by mistake is cancelled, which counts as deleted.
-- Grain: one row per source key (IdBanGhi). Source: one_stop.hoso.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
        {'columns': ['dossier_key']},
    ],
) }}

with

versions as ({{ newest_versions('one_stop', 'hoso', ['IdBanGhi']) }}
),

-- How many days the agency waited for supplements, and whether it waits now. The list is the agency's own text: what is no
-- date counts for nothing.
waits as (
    select
        versions.*,
        (
            select coalesce(sum(greatest({{ calendar_date('wait.brought') }} - {{ calendar_date('wait.asked') }}, 0)), 0)::integer
            from (
                select
                    translate(left(supplement.item ->> 'NgayYeuCau', 10), '-', '') as asked,
                    translate(left(supplement.item ->> 'NgayBoSung', 10), '-', '') as brought
                from jsonb_array_elements(
                    case when jsonb_typeof(versions."DanhSachHoSoBoSung") = 'array' then versions."DanhSachHoSoBoSung" else '[]' end
                ) as supplement (item)
            ) as wait
        ) as waited_days
    from versions
    offset 0
),

typed as (
    select
        {{ staging_columns(['IdBanGhi'], cancel=['SuKien', 'CANCEL']) }},
        "IdBanGhi" as record_id,
        {{ clean_code('"MaHoSo"') }} as dossier_code,
        {{ key_of('dossier', ['"MaHoSo"']) }} as dossier_key,
        {{ clean_code('"MaTTHC"') }} as procedure_code,
        {{ clean_text('"TenTTHC"') }} as procedure_name,
        {{ common_code('procedure_field', 'one_stop', '"MaLinhVuc"') }} as procedure_field_code,
        {{ common_code('channel', 'one_stop', '"KenhThucHien"') }} as channel_code,
        {{ common_code('applicant_kind', 'one_stop', '"LoaiDoiTuong"') }} as applicant_kind_code,
        -- An enterprise is no person: its name and number must not become those of one.
        case when "LoaiDoiTuong" = '1' then {{ clean_words('"ChuHoSo"') }} end as applicant_name,
        case when "LoaiDoiTuong" = '1' then {{ clean_code('"MaDoiTuong"') }} end as applicant_personal_id,
        case when "LoaiDoiTuong" <> '1' then {{ clean_words('"ChuHoSo"') }} end as organisation_name,
        case when "LoaiDoiTuong" <> '1' then {{ clean_code('"MaDoiTuong"') }} end as organisation_code,
        {{ clean_code('"DonViXuLy"') }} as agency_code,
        "NgayTiepNhan" as received_at,
        "NgayHenTra" as due_at,
        {{ common_code('dossier_status', 'one_stop', '"TrangThaiHoSo"') }} as status_code,
        "NgayKetThucXuLy" as finished_at,
        "NgayTra" as returned_at,
        {{ common_code('channel', 'one_stop', '"HinhThuc"') }} as return_channel_code,
        waited_days,
        "TaiLieuNop" as submitted_papers,
        "DanhSachLePhi" as fees,
        "DanhSachHoSoBoSung" as supplements,
        "DanhSachGiayToKetQua" as result_papers
    from waits
    offset 0
),

{{ changed_rows('typed') }}
