-- Steps in the handling of dossiers.
-- Grain: one row per source key (IdBanGhi). Source: one_stop.qua_trinh.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('one_stop', 'qua_trinh', ['IdBanGhi']) }}
),

typed as (
    select
        {{ staging_columns(['IdBanGhi'], cancel=['SuKien', 'CANCEL']) }},
        "IdBanGhi" as step_record_id,
        {{ clean_code('"MaHoSo"') }} as dossier_code,
        {{ key_of('dossier', ['"MaHoSo"']) }} as dossier_key,
        {{ clean_code('"DonViXuLy"') }} as agency_code,
        {{ clean_words('"NguoiXuLy"') }} as officer_name,
        "ThoiDiemXuLy" as handled_at,
        {{ common_code('dossier_status', 'one_stop', '"TrangThai"') }} as status_code,
        "NgayKetThucTheoQuyDinh" as due_at
    from versions
    offset 0
),

{{ changed_rows('typed') }}
