-- Row i is a function of i alone, so every machine loads the same table. No person is meant.
-- Some addresses are empty, which is not the same as unknown. `stamped` is when the rows were changed; null: at some time in 2024 or 2025.
create function made(first bigint, last bigint, stamped timestamptz default null) returns setof citizen
language sql
begin atomic
    select
        i,
        to_char(i, 'FM000000000000'),
        (array['Nguyễn', 'Trần', 'Lê', 'Phạm', 'Hoàng', 'Đặng', 'Bùi'])[1 + i % 7]
            || (array[' Thị', ' Văn', ' Hữu', ' Ngọc', ' Đức'])[1 + i / 7 % 5]
            || (array[' Ánh', ' Bình', ' Dũng', ' Hạnh', ' Quý', ' Tuệ', ' Vượng', ' Yến'])[1 + i / 35 % 8],
        date '1930-01-01' + (i * 7919 % 34000)::int,
        case when i % 9 = 0 then date '2000-01-01' + (i * 31 % 9000)::int end,
        case when i % 2 = 0 then 'F' else 'M' end,
        case when i % 11 > 0 then (array['Kinh', 'Tày', 'Thái', 'Mường', 'Hoa'])[1 + i % 5] end,
        case when i % 97 = 0 then '' else 'Số ' || i % 400 || ', đường Lý Thường Kiệt, tổ dân phố ' || i % 60 end,
        to_char(i * 17 % 99999, 'FM00000'),
        case when i % 4 > 0 then '09' || to_char(i * 104729 % 100000000, 'FM00000000') end,
        case when i % 3 = 0 then 'cong.dan.' || i || '@example.vn' end,
        case when i % 6 > 0 then (i * 7907 % 4000000000) / 100.0 end,
        jsonb_build_object('nghề nghiệp', 'giáo viên', 'số con', i % 5, 'ghi chú', null),
        timestamptz '2015-01-01' + make_interval(mins => (i % 5000000)::int),
        coalesce(stamped, timestamptz '2024-01-01' + make_interval(secs => (i % 60000000)::int))
    from generate_series(first, last) as i;
end;
