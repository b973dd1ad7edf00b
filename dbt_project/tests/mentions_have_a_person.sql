-- Every mention of this release that stands has exactly one citizen key. One without means that the identity step between
-- the two stages of the build did not run, or not for all.
select mention.mention_id
from {{ ref('person_mention') }} as mention
left join {{ ref('citizen_link') }} as link
    on mention.mention_id = link.mention_id and not link._removed
where not mention._removed and mention._release_id = {{ building_release() }}
group by mention.mention_id
having count(link.citizen_key) <> 1
