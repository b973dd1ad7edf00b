-- Hệ thống thông tin giải quyết thủ tục hành chính (một cửa) của tỉnh 44. Shared by its service, not by its database.
-- Statements below the line "after load" are run once the rows are in.

create table hoso (
    "IdBanGhi"             bigint not null,
    "SuKien"               varchar(10) not null default 'NEW',
    "PhienBan"             integer not null default 1,
    "ThoiGianCapNhat"      timestamptz not null default clock_timestamp(),
    "MaHoSo"               varchar(50) not null,
    "MaTTHC"               varchar(30) not null,
    "TenTTHC"              varchar(500) not null,
    "MaLinhVuc"            varchar(20) not null,
    "KenhThucHien"         varchar(1) not null,
    "ChuHoSo"              varchar(500) not null,
    "LoaiDoiTuong"         varchar(1) not null,
    "MaDoiTuong"           varchar(20),
    "DonViXuLy"            varchar(35) not null,
    "NgayTiepNhan"         timestamp not null,
    "NgayHenTra"           timestamp,
    "TrangThaiHoSo"        varchar(2) not null,
    "NgayKetThucXuLy"      timestamp,
    "NgayTra"              timestamp,
    "HinhThuc"             varchar(1),
    "TaiLieuNop"           jsonb not null,
    "DanhSachLePhi"        jsonb not null,
    "DanhSachHoSoBoSung"   jsonb not null,
    "DanhSachGiayToKetQua" jsonb not null,
    primary key ("IdBanGhi")
);

comment on table hoso is 'Hồ sơ thủ tục hành chính';
comment on column hoso."IdBanGhi" is 'Số bản ghi';
comment on column hoso."SuKien" is 'Sự kiện: NEW mới, UPDATE sửa, CANCEL huỷ vì nhập nhầm';
comment on column hoso."PhienBan" is 'Phiên bản, tăng theo từng thay đổi';
comment on column hoso."ThoiGianCapNhat" is 'Thời gian cập nhật bản ghi';
comment on column hoso."MaHoSo" is 'Mã hồ sơ: mã cơ quan, ngày nhận, số thứ tự';
comment on column hoso."MaTTHC" is 'Mã thủ tục hành chính';
comment on column hoso."TenTTHC" is 'Tên thủ tục hành chính';
comment on column hoso."MaLinhVuc" is 'Mã lĩnh vực';
comment on column hoso."KenhThucHien" is 'Kênh nộp hồ sơ: 1 trực tiếp, 2 trực tuyến, 3 bưu chính';
comment on column hoso."ChuHoSo" is 'Tên chủ hồ sơ';
comment on column hoso."LoaiDoiTuong" is 'Loại đối tượng: 1 công dân, 2 doanh nghiệp';
comment on column hoso."MaDoiTuong" is 'Số định danh của công dân, mã số của doanh nghiệp';
comment on column hoso."DonViXuLy" is 'Mã định danh cơ quan giải quyết';
comment on column hoso."NgayTiepNhan" is 'Thời điểm tiếp nhận';
comment on column hoso."NgayHenTra" is 'Hẹn trả khi tiếp nhận; thời gian chờ bổ sung được cộng thêm; trống khi từ chối';
comment on column hoso."TrangThaiHoSo" is 'Trạng thái: 2 được tiếp nhận, 3 không được tiếp nhận, 4 đang xử lý, 5 yêu cầu bổ sung, 7 rút hồ sơ, 8 dừng xử lý, 9 đã xử lý xong, 10 đã trả kết quả';
comment on column hoso."NgayKetThucXuLy" is 'Thời điểm xử lý xong';
comment on column hoso."NgayTra" is 'Thời điểm trả kết quả';
comment on column hoso."HinhThuc" is 'Hình thức trả kết quả: 1 trực tiếp, 2 trực tuyến, 3 bưu chính';
comment on column hoso."TaiLieuNop" is 'Tài liệu nộp';
comment on column hoso."DanhSachLePhi" is 'Lệ phí: TenLePhi, MucThu (đồng)';
comment on column hoso."DanhSachHoSoBoSung" is 'Các lần yêu cầu bổ sung: NgayYeuCau, NgayBoSung (trống: chưa bổ sung)';
comment on column hoso."DanhSachGiayToKetQua" is 'Giấy tờ kết quả';

create table qua_trinh (
    "IdBanGhi"               bigint not null,
    "SuKien"                 varchar(10) not null default 'NEW',
    "PhienBan"               integer not null default 1,
    "ThoiGianCapNhat"        timestamptz not null default clock_timestamp(),
    "MaHoSo"                 varchar(50) not null,
    "DonViXuLy"              varchar(35) not null,
    "NguoiXuLy"              varchar(100) not null,
    "ThoiDiemXuLy"           timestamp not null,
    "TrangThai"              varchar(2) not null,
    "NgayKetThucTheoQuyDinh" timestamp,
    primary key ("IdBanGhi")
);

comment on table qua_trinh is 'Quá trình xử lý hồ sơ';
comment on column qua_trinh."IdBanGhi" is 'Số bản ghi';
comment on column qua_trinh."SuKien" is 'Sự kiện: NEW mới, UPDATE sửa, CANCEL huỷ vì nhập nhầm';
comment on column qua_trinh."PhienBan" is 'Phiên bản, tăng theo từng thay đổi';
comment on column qua_trinh."ThoiGianCapNhat" is 'Thời gian cập nhật bản ghi';
comment on column qua_trinh."MaHoSo" is 'Mã hồ sơ';
comment on column qua_trinh."DonViXuLy" is 'Mã định danh cơ quan xử lý';
comment on column qua_trinh."NguoiXuLy" is 'Người xử lý';
comment on column qua_trinh."ThoiDiemXuLy" is 'Thời điểm xử lý';
comment on column qua_trinh."TrangThai" is 'Trạng thái của hồ sơ sau bước này, như TrangThaiHoSo';
comment on column qua_trinh."NgayKetThucTheoQuyDinh" is 'Hạn kết thúc theo quy định';

-- The system itself numbers the versions of a record.
create or replace function count_version() returns trigger language plpgsql as $$
begin
    new."PhienBan" := old."PhienBan" + 1;
    new."ThoiGianCapNhat" := clock_timestamp();
    if new."SuKien" = old."SuKien" then
        new."SuKien" := 'UPDATE';
    end if;
    return new;
end
$$;
create trigger hoso_version before update on hoso for each row execute function count_version();
create trigger qua_trinh_version before update on qua_trinh for each row execute function count_version();

-- after load
create index hoso_feed on hoso ("ThoiGianCapNhat", "IdBanGhi");
create index qua_trinh_feed on qua_trinh ("ThoiGianCapNhat", "IdBanGhi");
create index hoso_open on hoso ("IdBanGhi") where "TrangThaiHoSo" in ('2', '4', '5', '9');
