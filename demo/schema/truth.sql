-- Sự thật của dữ liệu mẫu: no part of the pipeline may read this database.
-- Statements below the line "after load" are run once the rows are in.

create table person (
    person_id           bigint not null,
    full_name           text not null,
    is_female           boolean not null,
    born_on             date not null,
    birth_minute        integer not null,
    personal_id         varchar(12) not null,
    old_id              varchar(9),
    ethnicity           varchar(2) not null,
    old_commune         varchar(5) not null,
    birth_commune       varchar(5) not null,
    hamlet              text not null,
    phone               varchar(10),
    insurance_number    varchar(10) not null,
    insurance_group     varchar(3) not null,
    mother_id           bigint,
    father_id           bigint,
    spouse_id           bigint,
    married_on          date,
    last_birth_on       date,
    births              integer not null,
    died_on             date,
    birth_registered_on date,
    death_registered_on date,
    birth_certificate   varchar(30),
    death_certificate   varchar(30),
    primary key (person_id)
);

comment on table person is 'The hidden population: one row per person, what is true of them';
comment on column person.person_id is 'Number of the person';
comment on column person.full_name is 'Họ và tên, NFC';
comment on column person.is_female is 'True for nữ';
comment on column person.born_on is 'True date of birth';
comment on column person.birth_minute is 'Minute of the day of birth';
comment on column person.personal_id is 'Số định danh: unique; it is known to the sources only once the birth is registered';
comment on column person.old_id is 'CMND 9 số the person once had';
comment on column person.ethnicity is 'Mã dân tộc';
comment on column person.old_commune is 'Commune of residence by the list before 1/7/2025';
comment on column person.birth_commune is 'Commune of birth by the list before 1/7/2025';
comment on column person.hamlet is 'Thôn or tổ dân phố';
comment on column person.phone is 'Phone number';
comment on column person.insurance_number is 'Mã số BHXH';
comment on column person.insurance_group is 'First three characters of the BHYT card';
comment on column person.mother_id is 'person_id of the mother where she is in the population';
comment on column person.father_id is 'person_id of the father where he is in the population';
comment on column person.spouse_id is 'person_id of the spouse';
comment on column person.married_on is 'Date of marriage';
comment on column person.last_birth_on is 'Date of birth of the youngest child of a woman';
comment on column person.births is 'How many children a woman has borne in the population';
comment on column person.died_on is 'Date of death';
comment on column person.birth_registered_on is 'Date the birth was or will be registered; null: never';
comment on column person.death_registered_on is 'Date the death was or will be registered; null: never';
comment on column person.birth_certificate is 'MA_GCS of the hospital''s paper, if any';
comment on column person.death_certificate is 'MA_GBT of the hospital''s paper, if any';

create table mention (
    sector    text not null,
    dataset   text not null,
    key       text collate "C" not null,
    role      text not null,
    person_id bigint not null
);

comment on table mention is 'Which record of a source speaks of which person, and in which role; people outside the population have no row';
comment on column mention.sector is 'Sector';
comment on column mention.dataset is 'Table of the sector';
comment on column mention.key is 'Physical primary key of the record as text';
comment on column mention.role is 'Role: self, mother, father, husband, wife, parent, child';
comment on column mention.person_id is 'The person';

create table defect (
    sector      text not null,
    dataset     text not null,
    key         text collate "C" not null,
    kind        text not null,
    column_name text,
    original    text,
    planted_on  date not null,
    repaired_on date
);

comment on table defect is 'Which record of a source carries which planted defect';
comment on column defect.sector is 'Sector';
comment on column defect.dataset is 'Table of the sector';
comment on column defect.key is 'Physical primary key of the record as text';
comment on column defect.kind is 'Kind of defect, as in the profile';
comment on column defect.column_name is 'The column that was changed; null where it is not one cell';
comment on column defect.original is 'What stood there before, as text';
comment on column defect.planted_on is 'Business date on which it came in';
comment on column defect.repaired_on is 'Business date on which the source repaired it; null: still there';

create table seed_run (
    citizens       bigint not null,
    seed           bigint not null,
    profile_digest text not null,
    as_of          date not null,
    result         jsonb not null,
    profile        jsonb not null,
    primary key (seed)
);

comment on table seed_run is 'The finished seed; its row is written last';
comment on column seed_run.citizens is 'Size of the population asked for';
comment on column seed_run.seed is 'Seed of every random stream';
comment on column seed_run.profile_digest is 'Digest of the profile, the administrative units and the generator version';
comment on column seed_run.as_of is 'Business date of the seed';
comment on column seed_run.result is 'What seed() returned';
comment on column seed_run.profile is 'The profile, for the ticks';

create table clock (
    one           boolean not null,
    day           integer not null,
    business_date date not null,
    primary key (one)
);

comment on table clock is 'Business clock of the demo';
comment on column clock.one is 'Always true: one row';
comment on column clock.day is 'Days ticked since the seed, all applied';
comment on column clock.business_date is 'Business date reached';

create table counter (
    name       text not null,
    next_value bigint not null,
    primary key (name)
);

comment on table counter is 'Next free numbers of the generator';
comment on column counter.name is 'What is counted';
comment on column counter.next_value is 'Next free value';

create table day_plan (
    day      integer not null,
    database text not null,
    seq      integer not null,
    step     jsonb not null,
    primary key (day, database, seq)
);

comment on table day_plan is 'The day being applied: what still has to be written where; empty between ticks';
comment on column day_plan.day is 'Day number';
comment on column day_plan.database is 'Database to change';
comment on column day_plan.seq is 'Order of the step within the database';
comment on column day_plan.step is 'The step';

-- after load
create index person_birth_registered_on_idx on person (birth_registered_on);
create index person_death_registered_on_idx on person (death_registered_on);
create index person_personal_id_idx on person (personal_id);
alter table mention add primary key (sector, dataset, key, role);
create index mention_person_id_idx on mention (person_id);
alter table defect add primary key (sector, dataset, key, kind);
