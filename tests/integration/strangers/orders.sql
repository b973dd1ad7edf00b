-- A trader's orders, as nobody here would design them.
create schema "Sales Dept";
create table "Sales Dept"."Customers" (
    "CustomerID" character(5) primary key,
    "Company Name" character varying(40) not null,
    "ContactName" character varying(30),
    "Phone" character varying(24),
    "Picture" bytea,
    "100% Sure?" boolean
);
create table "Sales Dept"."Order Details" (
    "Order ID" integer not null,
    "Line.No" smallint not null,
    "ProductID" integer not null,
    "UnitPrice" real not null,
    "Unit Price" numeric not null,
    "Discount ""special""" double precision,
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
insert into "Sales Dept"."Customers"
select chr(65 + i) || 'AB', 'Công ty ' || i, 'Trần Thị ' || i, '0912 345 67' || i, '\x00ff', i % 2 = 0
from generate_series(0, 9) as i;
insert into "Sales Dept"."Order Details"
select i, k, i * k, 'NaN', 1.50, '-0', case when i % 2 = 0 then 'it''s %s {x}' end
from generate_series(1, 50) as i cross join generate_series(1, 3) as k;
insert into "Sales Dept"."đơn hàng"
select 'Đ-' || i, case when i % 3 = 0 then 'mới' else 'xong' end, '-infinity', 'để trước cửa'
from generate_series(1, 30) as i;
