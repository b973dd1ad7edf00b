-- Hộ tịch điện tử của tỉnh 44: tên trường theo biểu mẫu số hoá sổ hộ tịch.
-- Statements below the line "after load" are run once the rows are in.

create table noi_dang_ky (
    "maDVHC"       varchar(5) not null,
    "hieuLucTu"    date not null,
    "hieuLucDen"   date,
    "tenNoiDangKy" varchar(200) not null,
    "capDangKy"    varchar(1) not null,
    "maHuyen"      varchar(3),
    "maTinh"       varchar(2) not null,
    primary key ("maDVHC", "hieuLucTu")
);

comment on table noi_dang_ky is 'Nơi đăng ký hộ tịch (danh mục, lấy toàn bộ): mã dùng lại sau 1/7/2025 nên khoá gồm cả ngày hiệu lực';
comment on column noi_dang_ky."maDVHC" is 'Mã đơn vị hành chính của cơ quan đăng ký';
comment on column noi_dang_ky."hieuLucTu" is 'Ngày bắt đầu hiệu lực';
comment on column noi_dang_ky."hieuLucDen" is 'Ngày hết hiệu lực; để trống là còn hiệu lực';
comment on column noi_dang_ky."tenNoiDangKy" is 'Tên cơ quan đăng ký';
comment on column noi_dang_ky."capDangKy" is 'Cấp đăng ký: 1 xã, 2 huyện, 3 tỉnh';
comment on column noi_dang_ky."maHuyen" is 'Mã huyện: để trống từ 1/7/2025';
comment on column noi_dang_ky."maTinh" is 'Mã tỉnh';

create table khai_sinh (
    id                     bigint not null,
    so                     varchar(20) not null,
    "quyenSo"              varchar(20) not null,
    "trangSo"              varchar(10),
    "ngayDangKy"           date not null,
    "loaiDangKy"           varchar(1) not null,
    "noiDangKy"            varchar(5) not null,
    "maHuyen"              varchar(3),
    "nksSoDinhDanh"        varchar(12),
    "nksHoTen"             varchar(100) not null,
    "nksGioiTinh"          varchar(1) not null,
    "nksNgaySinh"          varchar(10) not null,
    "nksNgaySinhBangChu"   varchar(200),
    "nksNoiSinh"           text,
    "nksNoiSinhDVHC"       varchar(5),
    "nksQueQuan"           text,
    "nksDanToc"            varchar(100),
    "nksQuocTich"          varchar(50),
    "soGiayChungSinh"      varchar(30),
    "meHoTen"              varchar(100),
    "meNgaySinh"           varchar(10),
    "meDanToc"             varchar(100),
    "meQuocTich"           varchar(50),
    "meLoaiCuTru"          varchar(1),
    "meNoiCuTru"           text,
    "meLoaiGiayToTuyThan"  varchar(1),
    "meSoGiayToTuyThan"    varchar(20),
    "chaHoTen"             varchar(100),
    "chaNgaySinh"          varchar(10),
    "chaDanToc"            varchar(100),
    "chaQuocTich"          varchar(50),
    "chaLoaiCuTru"         varchar(1),
    "chaNoiCuTru"          text,
    "chaLoaiGiayToTuyThan" varchar(1),
    "chaSoGiayToTuyThan"   varchar(20),
    "nycHoTen"             varchar(100),
    "nycQuanHe"            varchar(50),
    "thongTinKhac"         jsonb,
    "thoiGianCapNhat"      timestamptz not null default clock_timestamp(),
    "daXoa"                boolean not null default false,
    primary key (id)
);

comment on table khai_sinh is 'Sổ đăng ký khai sinh';
comment on column khai_sinh.id is 'Số thứ tự bản ghi';
comment on column khai_sinh.so is 'Số đăng ký trong năm của nơi đăng ký';
comment on column khai_sinh."quyenSo" is 'Quyển số, dạng 01/2026';
comment on column khai_sinh."trangSo" is 'Trang số trong quyển';
comment on column khai_sinh."ngayDangKy" is 'Ngày đăng ký';
comment on column khai_sinh."loaiDangKy" is 'Loại đăng ký: 1 đúng hạn, 2 đăng ký lại, 4 quá hạn (sau 60 ngày), 0 và 3 trường hợp đặc biệt';
comment on column khai_sinh."noiDangKy" is 'Mã đơn vị hành chính của nơi đăng ký, theo danh mục có hiệu lực ngày đăng ký; tra ở noi_dang_ky cùng với ngày';
comment on column khai_sinh."maHuyen" is 'Mã huyện của nơi đăng ký: để trống từ 1/7/2025';
comment on column khai_sinh."nksSoDinhDanh" is 'Số định danh cá nhân cấp khi đăng ký khai sinh (từ năm 2016); để trống với hồ sơ cũ';
comment on column khai_sinh."nksHoTen" is 'Họ và tên người được khai sinh';
comment on column khai_sinh."nksGioiTinh" is 'Giới tính: 1 nam, 2 nữ, 3 chưa xác định';
comment on column khai_sinh."nksNgaySinh" is 'Ngày sinh, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy khi không rõ';
comment on column khai_sinh."nksNgaySinhBangChu" is 'Ngày sinh ghi bằng chữ';
comment on column khai_sinh."nksNoiSinh" is 'Nơi sinh, ghi tự do';
comment on column khai_sinh."nksNoiSinhDVHC" is 'Mã xã nơi sinh, theo danh mục lúc sinh';
comment on column khai_sinh."nksQueQuan" is 'Quê quán, ghi tự do';
comment on column khai_sinh."nksDanToc" is 'Dân tộc, ghi tự do, có thể kèm nhóm: Bru Vân Kiều (Vân Kiều)';
comment on column khai_sinh."nksQuocTich" is 'Quốc tịch, ghi tự do';
comment on column khai_sinh."soGiayChungSinh" is 'Mã giấy chứng sinh do cơ sở y tế cấp, nếu có';
comment on column khai_sinh."meHoTen" is 'Họ và tên mẹ';
comment on column khai_sinh."meNgaySinh" is 'Ngày sinh mẹ, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column khai_sinh."meDanToc" is 'Dân tộc của mẹ, ghi tự do';
comment on column khai_sinh."meQuocTich" is 'Quốc tịch của mẹ, ghi tự do';
comment on column khai_sinh."meLoaiCuTru" is 'Loại cư trú của mẹ: 0 không rõ, 1 thường trú, 2 tạm trú';
comment on column khai_sinh."meNoiCuTru" is 'Nơi cư trú của mẹ, ghi tự do';
comment on column khai_sinh."meLoaiGiayToTuyThan" is 'Loại giấy tờ tuỳ thân của mẹ: 1 chứng minh nhân dân, 2 hộ chiếu, 4 căn cước công dân';
comment on column khai_sinh."meSoGiayToTuyThan" is 'Số giấy tờ tuỳ thân của mẹ';
comment on column khai_sinh."chaHoTen" is 'Họ và tên cha';
comment on column khai_sinh."chaNgaySinh" is 'Ngày sinh cha, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column khai_sinh."chaDanToc" is 'Dân tộc của cha, ghi tự do';
comment on column khai_sinh."chaQuocTich" is 'Quốc tịch của cha, ghi tự do';
comment on column khai_sinh."chaLoaiCuTru" is 'Loại cư trú của cha: 0 không rõ, 1 thường trú, 2 tạm trú';
comment on column khai_sinh."chaNoiCuTru" is 'Nơi cư trú của cha, ghi tự do';
comment on column khai_sinh."chaLoaiGiayToTuyThan" is 'Loại giấy tờ tuỳ thân của cha: 1 chứng minh nhân dân, 2 hộ chiếu, 4 căn cước công dân';
comment on column khai_sinh."chaSoGiayToTuyThan" is 'Số giấy tờ tuỳ thân của cha';
comment on column khai_sinh."nycHoTen" is 'Họ và tên người yêu cầu đăng ký';
comment on column khai_sinh."nycQuanHe" is 'Quan hệ của người yêu cầu với người được khai sinh';
comment on column khai_sinh."thongTinKhac" is 'Thông tin khác của hồ sơ: nguon (số hoá hay trực tuyến), ghi chú';
comment on column khai_sinh."thoiGianCapNhat" is 'Thời gian cập nhật bản ghi';
comment on column khai_sinh."daXoa" is 'Bản ghi đã xoá (xoá mềm)';

create table ket_hon (
    id                       bigint not null,
    so                       varchar(20) not null,
    "quyenSo"                varchar(20) not null,
    "trangSo"                varchar(10),
    "ngayDangKy"             date not null,
    "loaiDangKy"             varchar(1) not null,
    "noiDangKy"              varchar(5) not null,
    "maHuyen"                varchar(3),
    "chongHoTen"             varchar(100),
    "chongNgaySinh"          varchar(10),
    "chongDanToc"            varchar(100),
    "chongQuocTich"          varchar(50),
    "chongLoaiCuTru"         varchar(1),
    "chongNoiCuTru"          text,
    "chongLoaiGiayToTuyThan" varchar(1),
    "chongSoGiayToTuyThan"   varchar(20),
    "voHoTen"                varchar(100),
    "voNgaySinh"             varchar(10),
    "voDanToc"               varchar(100),
    "voQuocTich"             varchar(50),
    "voLoaiCuTru"            varchar(1),
    "voNoiCuTru"             text,
    "voLoaiGiayToTuyThan"    varchar(1),
    "voSoGiayToTuyThan"      varchar(20),
    "tinhTrangKetHon"        varchar(1) not null,
    "thoiGianCapNhat"        timestamptz not null default clock_timestamp(),
    "daXoa"                  boolean not null default false,
    primary key (id)
);

comment on table ket_hon is 'Sổ đăng ký kết hôn';
comment on column ket_hon.id is 'Số thứ tự bản ghi';
comment on column ket_hon.so is 'Số đăng ký trong năm của nơi đăng ký';
comment on column ket_hon."quyenSo" is 'Quyển số, dạng 01/2026';
comment on column ket_hon."trangSo" is 'Trang số trong quyển';
comment on column ket_hon."ngayDangKy" is 'Ngày đăng ký';
comment on column ket_hon."loaiDangKy" is 'Loại đăng ký: 1 đăng ký mới, 2 đăng ký lại';
comment on column ket_hon."noiDangKy" is 'Mã đơn vị hành chính của nơi đăng ký, theo danh mục có hiệu lực ngày đăng ký; tra ở noi_dang_ky cùng với ngày';
comment on column ket_hon."maHuyen" is 'Mã huyện của nơi đăng ký: để trống từ 1/7/2025';
comment on column ket_hon."chongHoTen" is 'Họ và tên chồng';
comment on column ket_hon."chongNgaySinh" is 'Ngày sinh chồng, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column ket_hon."chongDanToc" is 'Dân tộc của chồng, ghi tự do';
comment on column ket_hon."chongQuocTich" is 'Quốc tịch của chồng, ghi tự do';
comment on column ket_hon."chongLoaiCuTru" is 'Loại cư trú của chồng: 0 không rõ, 1 thường trú, 2 tạm trú';
comment on column ket_hon."chongNoiCuTru" is 'Nơi cư trú của chồng, ghi tự do';
comment on column ket_hon."chongLoaiGiayToTuyThan" is 'Loại giấy tờ tuỳ thân của chồng: 1 chứng minh nhân dân, 2 hộ chiếu, 4 căn cước công dân';
comment on column ket_hon."chongSoGiayToTuyThan" is 'Số giấy tờ tuỳ thân của chồng';
comment on column ket_hon."voHoTen" is 'Họ và tên vợ';
comment on column ket_hon."voNgaySinh" is 'Ngày sinh vợ, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column ket_hon."voDanToc" is 'Dân tộc của vợ, ghi tự do';
comment on column ket_hon."voQuocTich" is 'Quốc tịch của vợ, ghi tự do';
comment on column ket_hon."voLoaiCuTru" is 'Loại cư trú của vợ: 0 không rõ, 1 thường trú, 2 tạm trú';
comment on column ket_hon."voNoiCuTru" is 'Nơi cư trú của vợ, ghi tự do';
comment on column ket_hon."voLoaiGiayToTuyThan" is 'Loại giấy tờ tuỳ thân của vợ: 1 chứng minh nhân dân, 2 hộ chiếu, 4 căn cước công dân';
comment on column ket_hon."voSoGiayToTuyThan" is 'Số giấy tờ tuỳ thân của vợ';
comment on column ket_hon."tinhTrangKetHon" is 'Tình trạng: 1 đang có hiệu lực, 2 đã ly hôn, 3 bị huỷ';
comment on column ket_hon."thoiGianCapNhat" is 'Thời gian cập nhật bản ghi';
comment on column ket_hon."daXoa" is 'Bản ghi đã xoá (xoá mềm)';

create table khai_tu (
    id                     bigint not null,
    so                     varchar(20) not null,
    "quyenSo"              varchar(20) not null,
    "trangSo"              varchar(10),
    "ngayDangKy"           date not null,
    "loaiDangKy"           varchar(1) not null,
    "noiDangKy"            varchar(5) not null,
    "maHuyen"              varchar(3),
    "nktGioiTinh"          varchar(1) not null,
    "nktSoDinhDanh"        varchar(12),
    "nktHoTen"             varchar(100),
    "nktNgaySinh"          varchar(10),
    "nktDanToc"            varchar(100),
    "nktQuocTich"          varchar(50),
    "nktLoaiCuTru"         varchar(1),
    "nktNoiCuTru"          text,
    "nktLoaiGiayToTuyThan" varchar(1),
    "nktSoGiayToTuyThan"   varchar(20),
    "nktNgayChet"          varchar(10) not null,
    "nktGioPhutChet"       varchar(5),
    "nktNoiChet"           text,
    "nktNguyenNhanChet"    varchar(255),
    "gbtSo"                varchar(30),
    "gbtNgay"              date,
    "gbtCoQuanCap"         varchar(200),
    "nycHoTen"             varchar(100),
    "nycQuanHe"            varchar(50),
    "thoiGianCapNhat"      timestamptz not null default clock_timestamp(),
    "daXoa"                boolean not null default false,
    primary key (id)
);

comment on table khai_tu is 'Sổ đăng ký khai tử';
comment on column khai_tu.id is 'Số thứ tự bản ghi';
comment on column khai_tu.so is 'Số đăng ký trong năm của nơi đăng ký';
comment on column khai_tu."quyenSo" is 'Quyển số, dạng 01/2026';
comment on column khai_tu."trangSo" is 'Trang số trong quyển';
comment on column khai_tu."ngayDangKy" is 'Ngày đăng ký';
comment on column khai_tu."loaiDangKy" is 'Loại đăng ký: 1 đúng hạn, 2 đăng ký lại, 4 quá hạn';
comment on column khai_tu."noiDangKy" is 'Mã đơn vị hành chính của nơi đăng ký, theo danh mục có hiệu lực ngày đăng ký; tra ở noi_dang_ky cùng với ngày';
comment on column khai_tu."maHuyen" is 'Mã huyện của nơi đăng ký: để trống từ 1/7/2025';
comment on column khai_tu."nktGioiTinh" is 'Giới tính: 1 nam, 2 nữ, 3 chưa xác định';
comment on column khai_tu."nktSoDinhDanh" is 'Số định danh cá nhân của người chết';
comment on column khai_tu."nktHoTen" is 'Họ và tên người chết';
comment on column khai_tu."nktNgaySinh" is 'Ngày sinh người chết, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column khai_tu."nktDanToc" is 'Dân tộc của người chết, ghi tự do';
comment on column khai_tu."nktQuocTich" is 'Quốc tịch của người chết, ghi tự do';
comment on column khai_tu."nktLoaiCuTru" is 'Loại cư trú của người chết: 0 không rõ, 1 thường trú, 2 tạm trú';
comment on column khai_tu."nktNoiCuTru" is 'Nơi cư trú của người chết, ghi tự do';
comment on column khai_tu."nktLoaiGiayToTuyThan" is 'Loại giấy tờ tuỳ thân của người chết: 1 chứng minh nhân dân, 2 hộ chiếu, 4 căn cước công dân';
comment on column khai_tu."nktSoGiayToTuyThan" is 'Số giấy tờ tuỳ thân của người chết';
comment on column khai_tu."nktNgayChet" is 'Ngày chết, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy khi không rõ';
comment on column khai_tu."nktGioPhutChet" is 'Giờ phút chết, dạng HH:MM';
comment on column khai_tu."nktNoiChet" is 'Nơi chết, ghi tự do';
comment on column khai_tu."nktNguyenNhanChet" is 'Nguyên nhân chết, ghi tự do';
comment on column khai_tu."gbtSo" is 'Số giấy báo tử';
comment on column khai_tu."gbtNgay" is 'Ngày cấp giấy báo tử';
comment on column khai_tu."gbtCoQuanCap" is 'Đơn vị cấp giấy báo tử';
comment on column khai_tu."nycHoTen" is 'Họ và tên người yêu cầu đăng ký';
comment on column khai_tu."nycQuanHe" is 'Quan hệ của người yêu cầu với người chết';
comment on column khai_tu."thoiGianCapNhat" is 'Thời gian cập nhật bản ghi';
comment on column khai_tu."daXoa" is 'Bản ghi đã xoá (xoá mềm)';

create table nhan_cha_me_con (
    id                    bigint not null,
    so                    varchar(20) not null,
    "quyenSo"             varchar(20) not null,
    "trangSo"             varchar(10),
    "quyetDinhSo"         varchar(50),
    "ngayDangKy"          date not null,
    "loaiDangKy"          varchar(1) not null,
    "loaiXacNhan"         varchar(1) not null,
    "noiDangKy"           varchar(5) not null,
    "maHuyen"             varchar(3),
    "cmHoTen"             varchar(100),
    "cmNgaySinh"          varchar(10),
    "cmDanToc"            varchar(100),
    "cmQuocTich"          varchar(50),
    "cmLoaiCuTru"         varchar(1),
    "cmNoiCuTru"          text,
    "cmLoaiGiayToTuyThan" varchar(1),
    "cmSoGiayToTuyThan"   varchar(20),
    "ncHoTen"             varchar(100) not null,
    "ncNgaySinh"          varchar(10),
    "ncDanToc"            varchar(100),
    "ncSoDinhDanh"        varchar(12),
    "thoiGianCapNhat"     timestamptz not null default clock_timestamp(),
    "daXoa"               boolean not null default false,
    primary key (id)
);

comment on table nhan_cha_me_con is 'Sổ đăng ký nhận cha, mẹ, con';
comment on column nhan_cha_me_con.id is 'Số thứ tự bản ghi';
comment on column nhan_cha_me_con.so is 'Số đăng ký trong năm của nơi đăng ký';
comment on column nhan_cha_me_con."quyenSo" is 'Quyển số, dạng 01/2026';
comment on column nhan_cha_me_con."trangSo" is 'Trang số trong quyển';
comment on column nhan_cha_me_con."quyetDinhSo" is 'Số quyết định công nhận';
comment on column nhan_cha_me_con."ngayDangKy" is 'Ngày đăng ký';
comment on column nhan_cha_me_con."loaiDangKy" is 'Loại đăng ký: 1 đăng ký mới, 2 đăng ký lại';
comment on column nhan_cha_me_con."loaiXacNhan" is 'Loại xác nhận: 1 cha nhận con, 2 mẹ nhận con, 3 con nhận cha, 4 con nhận mẹ';
comment on column nhan_cha_me_con."noiDangKy" is 'Mã đơn vị hành chính của nơi đăng ký, theo danh mục có hiệu lực ngày đăng ký; tra ở noi_dang_ky cùng với ngày';
comment on column nhan_cha_me_con."maHuyen" is 'Mã huyện của nơi đăng ký: để trống từ 1/7/2025';
comment on column nhan_cha_me_con."cmHoTen" is 'Họ và tên cha hoặc mẹ';
comment on column nhan_cha_me_con."cmNgaySinh" is 'Ngày sinh cha hoặc mẹ, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column nhan_cha_me_con."cmDanToc" is 'Dân tộc của cha hoặc mẹ, ghi tự do';
comment on column nhan_cha_me_con."cmQuocTich" is 'Quốc tịch của cha hoặc mẹ, ghi tự do';
comment on column nhan_cha_me_con."cmLoaiCuTru" is 'Loại cư trú của cha hoặc mẹ: 0 không rõ, 1 thường trú, 2 tạm trú';
comment on column nhan_cha_me_con."cmNoiCuTru" is 'Nơi cư trú của cha hoặc mẹ, ghi tự do';
comment on column nhan_cha_me_con."cmLoaiGiayToTuyThan" is 'Loại giấy tờ tuỳ thân của cha hoặc mẹ: 1 chứng minh nhân dân, 2 hộ chiếu, 4 căn cước công dân';
comment on column nhan_cha_me_con."cmSoGiayToTuyThan" is 'Số giấy tờ tuỳ thân của cha hoặc mẹ';
comment on column nhan_cha_me_con."ncHoTen" is 'Họ và tên người con';
comment on column nhan_cha_me_con."ncNgaySinh" is 'Ngày sinh người con, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column nhan_cha_me_con."ncDanToc" is 'Dân tộc của người con, ghi tự do';
comment on column nhan_cha_me_con."ncSoDinhDanh" is 'Số định danh cá nhân của người con';
comment on column nhan_cha_me_con."thoiGianCapNhat" is 'Thời gian cập nhật bản ghi';
comment on column nhan_cha_me_con."daXoa" is 'Bản ghi đã xoá (xoá mềm)';

create table cai_chinh (
    id                bigint not null,
    so                varchar(20) not null,
    "quyenSo"         varchar(20) not null,
    "trangSo"         varchar(10),
    "ngayDangKy"      date not null,
    "loaiDangKy"      varchar(1) not null,
    "noiDangKy"       varchar(5) not null,
    "maHuyen"         varchar(3),
    "loaiGiayToGoc"   varchar(1) not null,
    "idGoc"           bigint,
    "nccHoTen"        varchar(100) not null,
    "nccGioiTinh"     varchar(1) not null,
    "nccNgaySinh"     varchar(10),
    "nccSoDinhDanh"   varchar(12),
    "truongCaiChinh"  varchar(50) not null,
    "giaTriCu"        text,
    "giaTriMoi"       text not null,
    "lyDo"            text,
    "thoiGianCapNhat" timestamptz not null default clock_timestamp(),
    "daXoa"           boolean not null default false,
    primary key (id)
);

comment on table cai_chinh is 'Sổ đăng ký thay đổi, cải chính hộ tịch';
comment on column cai_chinh.id is 'Số thứ tự bản ghi';
comment on column cai_chinh.so is 'Số đăng ký trong năm của nơi đăng ký';
comment on column cai_chinh."quyenSo" is 'Quyển số, dạng 01/2026';
comment on column cai_chinh."trangSo" is 'Trang số trong quyển';
comment on column cai_chinh."ngayDangKy" is 'Ngày đăng ký';
comment on column cai_chinh."loaiDangKy" is 'Loại: 1 thay đổi hộ tịch, 2 cải chính hộ tịch, 3 bổ sung hộ tịch';
comment on column cai_chinh."noiDangKy" is 'Mã đơn vị hành chính của nơi đăng ký, theo danh mục có hiệu lực ngày đăng ký; tra ở noi_dang_ky cùng với ngày';
comment on column cai_chinh."maHuyen" is 'Mã huyện của nơi đăng ký: để trống từ 1/7/2025';
comment on column cai_chinh."loaiGiayToGoc" is 'Giấy tờ hộ tịch được cải chính: 1 khai sinh, 2 kết hôn, 3 khai tử';
comment on column cai_chinh."idGoc" is 'Số thứ tự bản ghi gốc được cải chính';
comment on column cai_chinh."nccHoTen" is 'Họ và tên người được cải chính, trước khi cải chính';
comment on column cai_chinh."nccGioiTinh" is 'Giới tính: 1 nam, 2 nữ, 3 chưa xác định';
comment on column cai_chinh."nccNgaySinh" is 'Ngày sinh người được cải chính, dạng dd.mm.yyyy, mm.yyyy hoặc yyyy';
comment on column cai_chinh."nccSoDinhDanh" is 'Số định danh cá nhân của người được cải chính';
comment on column cai_chinh."truongCaiChinh" is 'Trường được cải chính, theo tên cột: nksHoTen, nksNgaySinh, nksQueQuan, nksDanToc';
comment on column cai_chinh."giaTriCu" is 'Giá trị cũ';
comment on column cai_chinh."giaTriMoi" is 'Giá trị mới';
comment on column cai_chinh."lyDo" is 'Lý do';
comment on column cai_chinh."thoiGianCapNhat" is 'Thời gian cập nhật bản ghi';
comment on column cai_chinh."daXoa" is 'Bản ghi đã xoá (xoá mềm)';

-- after load
create index khai_sinh_thoigiancapnhat_idx on khai_sinh ("thoiGianCapNhat");
create index ket_hon_thoigiancapnhat_idx on ket_hon ("thoiGianCapNhat");
create index khai_tu_thoigiancapnhat_idx on khai_tu ("thoiGianCapNhat");
create index nhan_cha_me_con_thoigiancapnhat_idx on nhan_cha_me_con ("thoiGianCapNhat");
create index cai_chinh_thoigiancapnhat_idx on cai_chinh ("thoiGianCapNhat");
