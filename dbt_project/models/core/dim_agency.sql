-- Agencies that take part in what is published: investors and project boards, and places of civil registration.
-- Grain: one row per agency (agency_key); a registration office whose code changed hands has one row per period.

with

investors as (
    select
        investor.investor_code as agency_code,
        investor.investor_name as agency_name,
        'investor' as agency_kind,
        investor.level_code as agency_level,
        null::date as valid_from,
        null::date as valid_to,
        investor.is_active,
        investor.successor_code,
        investor.commune_code,
        investor.district_code,
        investor.province_code,
        {{ current_lists() }} as listed_on
    from {{ ref('stg_investment__chu_dau_tu') }} as investor
    where {{ stands('investor') }}
),

registration_offices as (
    select
        office.unit_code as agency_code,
        office.office_name as agency_name,
        'registration_office' as agency_kind,
        office.office_level_code as agency_level,
        office.valid_from,
        office.valid_to,
        office.valid_to is null as is_active,
        null::text as successor_code,
        office.unit_code as commune_code,
        office.district_code,
        office.province_code,
        coalesce(office.valid_to - 1, {{ current_lists() }}) as listed_on
    from {{ ref('stg_civil_registry__noi_dang_ky') }} as office
    where {{ stands('office') }}
),

agencies as (
    select * from investors
    union all
    select * from registration_offices
),

placed as ({{ resolve_commune('agencies', 'commune_code', 'district_code', 'province_code', 'listed_on') }}
)

select
    {{ key_of('agency', ['agency_kind', 'agency_code', "coalesce(valid_from::text, '')"]) }} as agency_key,
    agency_kind,
    agency_code,
    agency_name,
    agency_level,
    valid_from,
    valid_to,
    is_active,
    {{ key_of('agency', ['agency_kind', 'successor_code', "''"]) }} as successor_agency_key,
    commune_unit_key,
    commune_resolution
from placed
