-- A trader's orders, as nobody here would design them.
create schema "Sales Dept";
create table "Sales Dept"."Customers" (
    "CustomerID" character(5) primary key,
    "Company Name" character varying(40) not null,
    "ContactName" character varying(30),
    "Phone" character varying(24),
    "Picture" bytea,
    "100% Sure?" boolean not null
);
create table "Sales Dept"."Order Details" (
    "Order ID" integer not null,
    "Line.No" smallint not null,
    "ProductID" integer not null,
    "UnitPrice" real not null,
    "Unit Price" numeric not null,
    "Discount ""special""" double precision not null,
    "it's" text,
    "Net" numeric generated always as ("Unit Price" * 2) stored,
    constraint "PK Order Details" primary key ("Order ID", "Line.No")
);
create table "Sales Dept"."đơn hàng" (
    "mã đơn" text primary key,
    "trạng thái" varchar(10) not null check ("trạng thái" in ('mới', 'xong')),
    "ngày đặt" date,
    ghi_chu text
);
create table "Sales Dept"."Empty Table" (id integer primary key, "limit" interval, "when" timetz[]);
create table "Sales Dept".oddments (
    "values" smallint primary key,
    "interval" interval,
    c "char",
    n name,
    b bit(3),
    vb bit varying,
    r int4range[],
    m nummultirange,
    p point,
    j json,
    jb jsonb[],
    t time with time zone,
    i inet,
    o oid,
    l pg_lsn,
    q tsquery,
    x xml
);
insert into "Sales Dept".oddments
select
    k, '-1 mon +3 days', 'x', 'pg_class', b'101', b'1', array['[1,5)', null, 'empty']::int4range[], '{[1.0,2],(3,)}', '(-0,1e300)',
    '{"a": 1,  "a": 2}', array['{"k": 1e400}'::jsonb], '24:00+07', '10.0.0.1/8', 4294967295, '16/B374D848', 'a & !b', null
from generate_series(1, 5) as k;
insert into "Sales Dept"."Customers"
select chr(65 + i) || 'AB', 'Công ty ' || i, 'Trần Thị ' || i, '0912 345 67' || i, '\x00ff', i % 2 = 0
from generate_series(0, 9) as i;
insert into "Sales Dept"."Order Details"
select i, k, i * k, 'NaN', 1.50, '-0', case when i % 2 = 0 then 'it''s %s {x}' end
from generate_series(1, 50) as i cross join generate_series(1, 3) as k;
insert into "Sales Dept"."đơn hàng"
select 'Đ-' || i, case when i % 3 = 0 then 'mới' else 'xong' end, '-infinity', 'để trước cửa'
from generate_series(1, 30) as i;
