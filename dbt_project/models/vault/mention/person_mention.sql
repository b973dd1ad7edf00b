-- Every mention of a person in the sectors' records: who is said to be where, in which role.
-- Grain: one row per mention (mention_id: sector, dataset, source key, role). A record that was sent again is a mention of
-- its own. `founding_mention` names the person a mention stands for: the trusted number, or failing that the mention
-- itself; between the two stages of a build, Python gives each a key in vault.citizen_founder.
-- `trust_rank` orders the mentions of one person where they disagree: civil registry, then education, then health,
-- then applications.
{{ config(
    unique_key='mention_id',
    pre_hook="{{ begin_generation() }}",
    indexes=[
        {'columns': ['mention_id'], 'unique': true},
        {'columns': ['_release_id']},
    ],
) }}

with

mentioned as (
    {{ mention(ref('stg_civil_registry__khai_sinh'), 'civil_registry', 'khai_sinh', 'self', 1, person='child_', paper='child_personal_id') }}
    union all
    {{ mention(ref('stg_civil_registry__khai_tu'), 'civil_registry', 'khai_tu', 'self', 2, paper='coalesce(personal_id, paper_number)') }}
    union all
    {{ mention(ref('stg_civil_registry__ket_hon'), 'civil_registry', 'ket_hon', 'husband', 3, person='husband_', paper='husband_paper_number', sex="'male'") }}
    union all
    {{ mention(ref('stg_civil_registry__ket_hon'), 'civil_registry', 'ket_hon', 'wife', 3, person='wife_', paper='wife_paper_number', sex="'female'") }}
    union all
    {{ mention(ref('stg_civil_registry__khai_sinh'), 'civil_registry', 'khai_sinh', 'mother', 4, person='mother_', paper='mother_paper_number', sex="'female'") }}
    union all
    {{ mention(ref('stg_civil_registry__khai_sinh'), 'civil_registry', 'khai_sinh', 'father', 4, person='father_', paper='father_paper_number', sex="'male'") }}
    union all
    {{ mention(ref('stg_education__hocsinh'), 'education', 'hocsinh', 'self', 5, residence_on=school_year_date('school_year', 'entered_on')) }}
    union all
    {{ mention(ref('stg_education__giaovien'), 'education', 'giaovien', 'self', 6, residence_on=new_lists()) }}
    union all
    {{ mention(ref('stg_health__giay_chung_sinh'), 'health', 'giay_chung_sinh', 'mother', 7, person='mother_', paper='mother_personal_id', sex="'female'", residence_on='issued_at::date') }}
    union all
    {{ mention(ref('stg_health__giay_bao_tu'), 'health', 'giay_bao_tu', 'self', 8, residence_on='issued_at::date') }}
    union all
    {{ mention(ref('stg_health__xml1'), 'health', 'xml1', 'self', 9, residence_on='admitted_at::date') }}
    union all
    {{ mention(ref('stg_one_stop__hoso'), 'one_stop', 'hoso', 'applicant', 10, person='applicant_', paper='applicant_personal_id', sex='null::text', birth=false) }}
),

{% if is_incremental() -%}
affected as (
    select mention_id from mentioned
),

{% endif -%}
people as (
    select
        mentioned.*,
        {{ citizen_id_is_valid('mentioned.citizen_id', 'mentioned.sex', 'mentioned.birth_year') }} as id_is_valid
    from mentioned
    where mentioned._stands and (mentioned.full_name is not null or mentioned.citizen_id is not null)
    offset 0
),

founded as (
    select
        mention_id,
        sector,
        dataset,
        source_key,
        role,
        trust_rank,
        citizen_id,
        id_is_valid,
        full_name,
        sex,
        birth_date,
        birth_year,
        birth_precision,
        residence_commune_code,
        residence_district_code,
        residence_province_code,
        residence_on,
        case when id_is_valid then 'id:' || citizen_id else 'row:' || mention_id end as founding_mention
    from people
    offset 0
),

{{ living_and_removed('founded', 'mention_id') }}
