-- School sites, main ones included (reference, read whole).
-- Grain: one row per source key (madiemtruong). Source: education.diemtruong.
{{ config(
    indexes=[
        {'columns': ['_key'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

versions as ({{ newest_versions('education', 'diemtruong', ['madiemtruong']) }}
),

typed as (
    select
        {{ staging_columns(['madiemtruong']) }},
        {{ clean_code('madiemtruong') }} as school_site_code,
        {{ clean_code('matruong') }} as school_code,
        {{ clean_text('tendiemtruong') }} as school_site_name,
        ladiemchinh as is_main_site,
        kcdentruongchinh as distance_to_main_site_km,
        {{ common_code('transport', 'education', 'phuongtiendilai') }} as transport_code
    from versions
    offset 0
),

{{ changed_rows('typed') }}
