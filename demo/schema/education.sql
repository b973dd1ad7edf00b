-- CSDL ngành giáo dục của tỉnh 44: tên bảng, tên cột theo gói tin của ngành.
-- Statements below the line "after load" are run once the rows are in.

create table truong (
    matruong         varchar(20) not null,
    maddtc           varchar(35) not null,
    tentruong        varchar(200) not null,
    manhomcaphoc     varchar(2) not null,
    maloaihinhtruong varchar(1) not null,
    makhuvuc         varchar(1) not null,
    diachi_maxa      varchar(5) not null,
    diachi_mahuyen   varchar(3),
    diachi_matinh    varchar(2) not null,
    datchuanquocgia  boolean not null,
    datkiemdinhcapdo integer,
    nam_thanhlap     integer,
    cackhoi          text[] not null,
    primary key (matruong)
);

comment on table truong is 'Trường học và cơ sở giáo dục (danh mục, lấy toàn bộ)';
comment on column truong.matruong is 'Mã trường: mã sở, mã xã lúc cấp mã và số thứ tự; không đổi khi xã sáp nhập';
comment on column truong.maddtc is 'Mã định danh tổ chức của trường trong danh mục cơ quan';
comment on column truong.tentruong is 'Tên trường';
comment on column truong.manhomcaphoc is 'Nhóm cấp học: 01 mầm non, 02 tiểu học, 03 trung học cơ sở, 04 trung học phổ thông, 05 giáo dục thường xuyên';
comment on column truong.maloaihinhtruong is 'Loại hình: 1 công lập, 2 dân lập, 3 tư thục';
comment on column truong.makhuvuc is 'Khu vực: 1 đô thị, 2 đồng bằng, 3 miền núi, 4 hải đảo';
comment on column truong.diachi_maxa is 'Mã xã nơi trường đóng: từ 1/7/2025 theo danh mục mới';
comment on column truong.diachi_mahuyen is 'Mã huyện nơi trường đóng: để trống từ 1/7/2025';
comment on column truong.diachi_matinh is 'Mã tỉnh nơi trường đóng';
comment on column truong.datchuanquocgia is 'Đạt chuẩn quốc gia';
comment on column truong.datkiemdinhcapdo is 'Đạt kiểm định chất lượng cấp độ 1, 2, 3, 4; để trống là chưa đạt';
comment on column truong.nam_thanhlap is 'Năm thành lập';
comment on column truong.cackhoi is 'Các khối đang dạy của trường, xem mã khối ở bảng lop';

create table diemtruong (
    madiemtruong     varchar(24) not null,
    matruong         varchar(20) not null,
    tendiemtruong    varchar(200) not null,
    ladiemchinh      boolean not null,
    kcdentruongchinh numeric(5,1) not null,
    phuongtiendilai  varchar(1),
    primary key (madiemtruong)
);

comment on table diemtruong is 'Điểm trường, kể cả điểm chính (danh mục, lấy toàn bộ)';
comment on column diemtruong.madiemtruong is 'Mã điểm trường: mã trường và số thứ tự điểm';
comment on column diemtruong.matruong is 'Mã trường';
comment on column diemtruong.tendiemtruong is 'Tên điểm trường';
comment on column diemtruong.ladiemchinh is 'Là điểm chính';
comment on column diemtruong.kcdentruongchinh is 'Khoảng cách đến điểm chính, tính bằng km';
comment on column diemtruong.phuongtiendilai is 'Phương tiện đi lại: 1 đi bộ, 2 xe đạp, 3 xe máy, 4 thuyền';

create table lop (
    malop           varchar(30) not null,
    matruong        varchar(20) not null,
    namhoc          varchar(9) not null,
    makhoi          varchar(2) not null,
    tenlop          varchar(50) not null,
    magiaoviencn    varchar(20),
    lopghep         boolean not null,
    lopbantru       boolean not null,
    thoigiancapnhat timestamptz not null default clock_timestamp(),
    daxoa           boolean not null default false,
    primary key (malop)
);

comment on table lop is 'Lớp học của năm học';
comment on column lop.malop is 'Mã lớp: mã trường, năm học và thứ tự lớp';
comment on column lop.matruong is 'Mã trường';
comment on column lop.namhoc is 'Năm học, dạng 2026-2027';
comment on column lop.makhoi is 'Khối: 01 đến 12 phổ thông, 13 nhà trẻ, 14 mẫu giáo';
comment on column lop.tenlop is 'Tên lớp';
comment on column lop.magiaoviencn is 'Mã giáo viên chủ nhiệm';
comment on column lop.lopghep is 'Lớp ghép';
comment on column lop.lopbantru is 'Lớp bán trú';
comment on column lop.thoigiancapnhat is 'Thời gian cập nhật bản ghi';
comment on column lop.daxoa is 'Bản ghi đã xoá (xoá mềm)';

create table hocsinh (
    id                  bigint not null,
    mahocsinh           varchar(20) not null,
    matruong            varchar(20) not null,
    malop               varchar(30),
    namhoc              varchar(9) not null,
    matrangthaihientai  varchar(1) not null,
    malydothoihoc       varchar(2),
    hongheo             boolean not null,
    madienchinhsach     varchar(2),
    maloaikhuyettat     varchar(2),
    chieucao            numeric(4,1),
    cannang             numeric(4,1),
    mahocbantru         varchar(1),
    sodinhdanh          varchar(12),
    hovaten             varchar(100) not null,
    gioitinh            varchar(1) not null,
    ngaythangnamsinh    date,
    thangnamsinh        varchar(6),
    namsinh             integer,
    dantoc              varchar(2) not null,
    quoctich            varchar(3) not null,
    noisinh_maxa        varchar(5),
    noisinh_mahuyen     varchar(3),
    noisinh_matinh      varchar(2),
    noiohientai_maxa    varchar(5) not null,
    noiohientai_mahuyen varchar(3),
    noiohientai_matinh  varchar(2) not null,
    noiohientai_diachi  text,
    ngayvaotruong       date not null,
    thoigiancapnhat     timestamptz not null default clock_timestamp(),
    daxoa               boolean not null default false,
    primary key (id)
);

comment on table hocsinh is 'Học sinh (gồm các cột người Việt Nam của gói tin): một học sinh có thể gửi lại nhiều lần';
comment on column hocsinh.id is 'Số thứ tự bản ghi gửi lên';
comment on column hocsinh.mahocsinh is 'Mã học sinh, 10 chữ số; gửi lại thì trùng mã';
comment on column hocsinh.matruong is 'Mã trường';
comment on column hocsinh.malop is 'Mã lớp';
comment on column hocsinh.namhoc is 'Năm học, dạng 2026-2027';
comment on column hocsinh.matrangthaihientai is 'Trạng thái: 1 đang học, 2 chuyển đến, 3 chuyển đi, 4 thôi học, 5 tốt nghiệp';
comment on column hocsinh.malydothoihoc is 'Lý do thôi học: 01 hoàn cảnh gia đình, 02 học lực yếu, 03 xa trường, 04 đi làm, 09 lý do khác; chỉ có khi thôi học';
comment on column hocsinh.hongheo is 'Thuộc hộ nghèo';
comment on column hocsinh.madienchinhsach is 'Diện chính sách: 01 con liệt sĩ, 02 con thương binh, 03 mồ côi, 04 vùng đặc biệt khó khăn';
comment on column hocsinh.maloaikhuyettat is 'Loại khuyết tật: 01 vận động, 02 nghe nói, 03 nhìn, 04 trí tuệ, 05 khác';
comment on column hocsinh.chieucao is 'Chiều cao, tính bằng cm';
comment on column hocsinh.cannang is 'Cân nặng, tính bằng kg';
comment on column hocsinh.mahocbantru is 'Học bán trú: 1 có, 2 nội trú; để trống là không';
comment on column hocsinh.sodinhdanh is 'Số định danh cá nhân, 12 chữ số; để trống khi chưa có';
comment on column hocsinh.hovaten is 'Họ và tên';
comment on column hocsinh.gioitinh is 'Giới tính: 0 không rõ, 1 nam, 2 nữ';
comment on column hocsinh.ngaythangnamsinh is 'Ngày tháng năm sinh, khi biết đủ; chỉ một trong ba cột ngày sinh có giá trị';
comment on column hocsinh.thangnamsinh is 'Tháng năm sinh dạng yyyymm, khi không rõ ngày';
comment on column hocsinh.namsinh is 'Năm sinh, khi chỉ biết năm';
comment on column hocsinh.dantoc is 'Mã dân tộc theo danh mục 54 dân tộc: 01 Kinh, 23 Bru - Vân Kiều, 31 Tà Ôi (Pa Kô), 44 Chứt, 02 Tày, 06 Mường';
comment on column hocsinh.quoctich is 'Mã quốc tịch: VNM';
comment on column hocsinh.noisinh_maxa is 'Mã xã nơi sinh, theo danh mục lúc sinh';
comment on column hocsinh.noisinh_mahuyen is 'Mã huyện nơi sinh: để trống nếu sinh từ 1/7/2025';
comment on column hocsinh.noisinh_matinh is 'Mã tỉnh nơi sinh, theo danh mục lúc sinh';
comment on column hocsinh.noiohientai_maxa is 'Mã xã nơi ở hiện tại: từ 1/7/2025 theo danh mục mới';
comment on column hocsinh.noiohientai_mahuyen is 'Mã huyện nơi ở hiện tại: để trống từ 1/7/2025';
comment on column hocsinh.noiohientai_matinh is 'Mã tỉnh nơi ở hiện tại';
comment on column hocsinh.noiohientai_diachi is 'Địa chỉ nơi ở hiện tại, ghi tự do';
comment on column hocsinh.ngayvaotruong is 'Ngày vào trường';
comment on column hocsinh.thoigiancapnhat is 'Thời gian cập nhật bản ghi';
comment on column hocsinh.daxoa is 'Bản ghi đã xoá (xoá mềm)';

create table giaovien (
    magiaovien          varchar(20) not null,
    matruong            varchar(20) not null,
    masobhxh            varchar(10),
    sodinhdanh          varchar(12),
    hovaten             varchar(100) not null,
    gioitinh            varchar(1) not null,
    ngaythangnamsinh    date,
    thangnamsinh        varchar(6),
    namsinh             integer,
    dantoc              varchar(2) not null,
    cacmonday           text[] not null,
    matrinhdo           varchar(1) not null,
    matrangthai         varchar(1) not null,
    ngayvaonganh        date,
    noiohientai_maxa    varchar(5),
    noiohientai_mahuyen varchar(3),
    noiohientai_matinh  varchar(2),
    thoigiancapnhat     timestamptz not null default clock_timestamp(),
    daxoa               boolean not null default false,
    primary key (magiaovien)
);

comment on table giaovien is 'Giáo viên và cán bộ quản lý';
comment on column giaovien.magiaovien is 'Mã giáo viên';
comment on column giaovien.matruong is 'Mã trường';
comment on column giaovien.masobhxh is 'Mã số bảo hiểm xã hội, 10 chữ số';
comment on column giaovien.sodinhdanh is 'Số định danh cá nhân, 12 chữ số';
comment on column giaovien.hovaten is 'Họ và tên';
comment on column giaovien.gioitinh is 'Giới tính: 0 không rõ, 1 nam, 2 nữ';
comment on column giaovien.ngaythangnamsinh is 'Ngày tháng năm sinh, khi biết đủ; chỉ một trong ba cột ngày sinh có giá trị';
comment on column giaovien.thangnamsinh is 'Tháng năm sinh dạng yyyymm, khi không rõ ngày';
comment on column giaovien.namsinh is 'Năm sinh, khi chỉ biết năm';
comment on column giaovien.dantoc is 'Mã dân tộc, như bảng hocsinh';
comment on column giaovien.cacmonday is 'Các môn dạy: TOAN, VAN, ANH, LY, HOA, SINH, SU, DIA, TIN, TD, NT, GVTH (giáo viên tiểu học), GVMN (giáo viên mầm non)';
comment on column giaovien.matrinhdo is 'Trình độ: 1 trung cấp, 2 cao đẳng, 3 đại học, 4 thạc sĩ, 5 tiến sĩ';
comment on column giaovien.matrangthai is 'Trạng thái: 1 đang làm việc, 2 chuyển đi, 3 nghỉ hưu, 4 thôi việc';
comment on column giaovien.ngayvaonganh is 'Ngày vào ngành';
comment on column giaovien.noiohientai_maxa is 'Mã xã nơi ở hiện tại';
comment on column giaovien.noiohientai_mahuyen is 'Mã huyện nơi ở hiện tại: để trống từ 1/7/2025';
comment on column giaovien.noiohientai_matinh is 'Mã tỉnh nơi ở hiện tại';
comment on column giaovien.thoigiancapnhat is 'Thời gian cập nhật bản ghi';
comment on column giaovien.daxoa is 'Bản ghi đã xoá (xoá mềm)';

create table ketquahoctap (
    id              bigint not null,
    mahocsinh       varchar(20) not null,
    malop           varchar(30) not null,
    namhoc          varchar(9) not null,
    hocky           varchar(1) not null,
    diemtongket     numeric(4,2),
    xeploai         varchar(2) not null,
    colenlop        boolean,
    songaynghi      integer not null,
    ngayketthuc     date not null,
    thoigiancapnhat timestamptz not null default clock_timestamp(),
    daxoa           boolean not null default false,
    primary key (id)
);

comment on table ketquahoctap is 'Kết quả học tập theo học kỳ';
comment on column ketquahoctap.id is 'Số thứ tự bản ghi gửi lên';
comment on column ketquahoctap.mahocsinh is 'Mã học sinh';
comment on column ketquahoctap.malop is 'Mã lớp của năm học đó';
comment on column ketquahoctap.namhoc is 'Năm học, dạng 2025-2026';
comment on column ketquahoctap.hocky is 'Học kỳ: 1, 2';
comment on column ketquahoctap.diemtongket is 'Điểm tổng kết, thang 10; để trống ở bậc tiểu học lớp 1 và 2';
comment on column ketquahoctap.xeploai is 'Xếp loại: T tốt, K khá, D đạt, CD chưa đạt';
comment on column ketquahoctap.colenlop is 'Được lên lớp; chỉ có ở học kỳ 2';
comment on column ketquahoctap.songaynghi is 'Số ngày nghỉ trong học kỳ';
comment on column ketquahoctap.ngayketthuc is 'Ngày kết thúc học kỳ';
comment on column ketquahoctap.thoigiancapnhat is 'Thời gian cập nhật bản ghi';
comment on column ketquahoctap.daxoa is 'Bản ghi đã xoá (xoá mềm)';

-- after load
create index lop_thoigiancapnhat_idx on lop (thoigiancapnhat);
create index lop_matruong_idx on lop (matruong);
create index hocsinh_thoigiancapnhat_idx on hocsinh (thoigiancapnhat);
create index hocsinh_mahocsinh_idx on hocsinh (mahocsinh);
create index giaovien_thoigiancapnhat_idx on giaovien (thoigiancapnhat);
create index ketquahoctap_thoigiancapnhat_idx on ketquahoctap (thoigiancapnhat);
create index ketquahoctap_mahocsinh_idx on ketquahoctap (mahocsinh);
