-- How many columns of each dataset some rule looks at, and what its freshness is judged by.
-- Grain: one row per sector and dataset (quality_coverage_key).
select
    {{ key_of('quality_coverage', ['sector', 'dataset']) }} as quality_coverage_key,
    sector,
    dataset,
    title,
    owner_agency,
    rules,
    columns,
    columns - columns_with_rule as columns_without_rule,
    round(100.0 * columns_with_rule / nullif(columns, 0), 2)::numeric(5, 2) as covered_percent,
    freshness_by
from {{ source('control', 'release_dataset') }}
where release_id = {{ building_release() }}
