-- Theo dõi đầu tư công của tỉnh 44. Năm ngân sách đóng ngày 31/1 năm sau.
-- Statements below the line "after load" are run once the rows are in.

create table chu_dau_tu (
    ma_chu_dau_tu      varchar(35) not null,
    ten                varchar(255) not null,
    cap                varchar(1) not null,
    ma_xa              varchar(5),
    ma_huyen           varchar(3),
    ma_tinh            varchar(2) not null,
    dang_hoat_dong     boolean not null,
    ma_co_quan_ke_thua varchar(35),
    primary key (ma_chu_dau_tu)
);

comment on table chu_dau_tu is 'Chủ đầu tư, ban quản lý dự án (danh mục, lấy toàn bộ)';
comment on column chu_dau_tu.ma_chu_dau_tu is 'Mã định danh cơ quan, dạng H46.12.03';
comment on column chu_dau_tu.ten is 'Tên chủ đầu tư';
comment on column chu_dau_tu.cap is 'Cấp quản lý: 1 tỉnh, 2 huyện (trước 1/7/2025), 3 xã';
comment on column chu_dau_tu.ma_xa is 'Mã xã nơi đặt trụ sở';
comment on column chu_dau_tu.ma_huyen is 'Mã huyện nơi đặt trụ sở: để trống từ 1/7/2025';
comment on column chu_dau_tu.ma_tinh is 'Mã tỉnh';
comment on column chu_dau_tu.dang_hoat_dong is 'Còn hoạt động';
comment on column chu_dau_tu.ma_co_quan_ke_thua is 'Mã cơ quan kế thừa, khi chủ đầu tư đã giải thể';

create table nguon_von (
    ma_nguon_von    varchar(10) not null,
    ten             varchar(255) not null,
    nhom            varchar(1) not null,
    trong_ngan_sach boolean not null,
    primary key (ma_nguon_von)
);

comment on table nguon_von is 'Nguồn vốn đầu tư (danh mục, lấy toàn bộ)';
comment on column nguon_von.ma_nguon_von is 'Mã nguồn vốn: NSTW, NSDP_TINH, NSDP_XA, ODA, TPCP, CTMTQG, XHH';
comment on column nguon_von.ten is 'Tên nguồn vốn';
comment on column nguon_von.nhom is 'Nhóm: 1 ngân sách trung ương, 2 ngân sách địa phương, 3 nước ngoài, 4 ngoài ngân sách';
comment on column nguon_von.trong_ngan_sach is 'Thuộc ngân sách nhà nước';

create table du_an (
    ma_du_an        varchar(10) not null,
    ten             varchar(500) not null,
    nhom            varchar(4) not null,
    ma_chu_dau_tu   varchar(35) not null,
    cap_quyet_dinh  varchar(1) not null,
    linh_vuc        varchar(2) not null,
    dia_diem        text[] not null,
    ma_huyen        varchar(3),
    ma_tinh         varchar(2) not null,
    ngay_phe_duyet  date not null,
    tong_muc_dau_tu numeric(18,0) not null,
    ngay_khoi_cong  date,
    ngay_hoan_thanh date,
    trang_thai      varchar(1) not null,
    ngay_cap_nhat   timestamptz not null default clock_timestamp(),
    da_xoa          boolean not null default false,
    primary key (ma_du_an)
);

comment on table du_an is 'Dự án đầu tư công';
comment on column du_an.ma_du_an is 'Mã dự án, 7 chữ số';
comment on column du_an.ten is 'Tên dự án';
comment on column du_an.nhom is 'Nhóm dự án: QTQG, A, B, C';
comment on column du_an.ma_chu_dau_tu is 'Mã chủ đầu tư';
comment on column du_an.cap_quyet_dinh is 'Cấp quyết định đầu tư: 0 trung ương, 1 tỉnh, 2 huyện (trước 1/7/2025), 3 xã';
comment on column du_an.linh_vuc is 'Lĩnh vực: 01 giao thông, 02 giáo dục, 03 y tế, 04 nông nghiệp và thuỷ lợi, 05 hạ tầng đô thị, 06 văn hoá, 07 quản lý nhà nước, 08 công nghệ thông tin';
comment on column du_an.dia_diem is 'Mã các xã nơi xây dựng, theo danh mục có hiệu lực ngày phê duyệt';
comment on column du_an.ma_huyen is 'Mã huyện: để trống từ 1/7/2025';
comment on column du_an.ma_tinh is 'Mã tỉnh, theo danh mục có hiệu lực ngày phê duyệt';
comment on column du_an.ngay_phe_duyet is 'Ngày phê duyệt dự án';
comment on column du_an.tong_muc_dau_tu is 'Tổng mức đầu tư, đồng';
comment on column du_an.ngay_khoi_cong is 'Ngày khởi công';
comment on column du_an.ngay_hoan_thanh is 'Ngày hoàn thành theo quyết định';
comment on column du_an.trang_thai is 'Trạng thái: 1 chuẩn bị đầu tư, 2 đang thực hiện, 3 tạm dừng, 4 hoàn thành, 5 đã quyết toán';
comment on column du_an.ngay_cap_nhat is 'Thời gian cập nhật bản ghi';
comment on column du_an.da_xoa is 'Bản ghi đã xoá (xoá mềm)';

create table quyet_dinh (
    id               bigint not null,
    ma_du_an         varchar(10) not null,
    so_quyet_dinh    varchar(50) not null,
    loai             varchar(1) not null,
    ngay_ban_hanh    date not null,
    co_quan_ban_hanh varchar(255) not null,
    gia_tri          numeric(18,0) not null,
    trich_yeu        text,
    ngay_cap_nhat    timestamptz not null default clock_timestamp(),
    da_xoa           boolean not null default false,
    primary key (id)
);

comment on table quyet_dinh is 'Quyết định về dự án';
comment on column quyet_dinh.id is 'Số thứ tự bản ghi';
comment on column quyet_dinh.ma_du_an is 'Mã dự án';
comment on column quyet_dinh.so_quyet_dinh is 'Số, ký hiệu quyết định';
comment on column quyet_dinh.loai is 'Loại: 1 chủ trương đầu tư, 2 đầu tư, 3 điều chỉnh';
comment on column quyet_dinh.ngay_ban_hanh is 'Ngày ban hành';
comment on column quyet_dinh.co_quan_ban_hanh is 'Cơ quan ban hành';
comment on column quyet_dinh.gia_tri is 'Giá trị được duyệt, đồng';
comment on column quyet_dinh.trich_yeu is 'Trích yếu nội dung';
comment on column quyet_dinh.ngay_cap_nhat is 'Thời gian cập nhật bản ghi';
comment on column quyet_dinh.da_xoa is 'Bản ghi đã xoá (xoá mềm)';

create table ke_hoach_von (
    id                 bigint not null,
    ma_du_an           varchar(10) not null,
    ma_nguon_von       varchar(10) not null,
    nam                integer not null,
    loai               varchar(1) not null,
    so_von             numeric(18,3) not null,
    don_vi_tinh        varchar(10) not null,
    so_quyet_dinh_giao varchar(50),
    ngay_giao          date not null,
    ngay_cap_nhat      timestamptz not null default clock_timestamp(),
    da_xoa             boolean not null default false,
    primary key (id)
);

comment on table ke_hoach_von is 'Kế hoạch vốn theo dự án, nguồn vốn và năm';
comment on column ke_hoach_von.id is 'Số thứ tự bản ghi';
comment on column ke_hoach_von.ma_du_an is 'Mã dự án';
comment on column ke_hoach_von.ma_nguon_von is 'Mã nguồn vốn';
comment on column ke_hoach_von.nam is 'Năm ngân sách';
comment on column ke_hoach_von.loai is 'Loại kế hoạch: 1 trung hạn, 2 năm, 3 kéo dài, 4 ứng trước';
comment on column ke_hoach_von.so_von is 'Số vốn, theo đơn vị ở cột don_vi_tinh';
comment on column ke_hoach_von.don_vi_tinh is 'Đơn vị tính: đồng, triệu đồng';
comment on column ke_hoach_von.so_quyet_dinh_giao is 'Số quyết định giao vốn';
comment on column ke_hoach_von.ngay_giao is 'Ngày giao vốn';
comment on column ke_hoach_von.ngay_cap_nhat is 'Thời gian cập nhật bản ghi';
comment on column ke_hoach_von.da_xoa is 'Bản ghi đã xoá (xoá mềm)';

create table giai_ngan (
    id            bigint not null,
    ma_du_an      varchar(10) not null,
    ma_nguon_von  varchar(10) not null,
    nam           integer not null,
    thang         integer not null,
    so_tien_thang numeric(18,0) not null,
    luy_ke_nam    numeric(18,0) not null,
    so_chung_tu   varchar(50),
    ngay_bao_cao  date not null,
    trang_thai    varchar(1) not null,
    ngay_cap_nhat timestamptz not null default clock_timestamp(),
    da_xoa        boolean not null default false,
    primary key (id)
);

comment on table giai_ngan is 'Giải ngân theo dự án, nguồn vốn và tháng';
comment on column giai_ngan.id is 'Số thứ tự bản ghi';
comment on column giai_ngan.ma_du_an is 'Mã dự án';
comment on column giai_ngan.ma_nguon_von is 'Mã nguồn vốn';
comment on column giai_ngan.nam is 'Năm ngân sách của kế hoạch được giải ngân';
comment on column giai_ngan.thang is 'Tháng báo cáo: 1 đến 12, 13 là tháng 1 năm sau tính cho năm ngân sách này (đóng ngày 31/1)';
comment on column giai_ngan.so_tien_thang is 'Số giải ngân trong tháng, đồng';
comment on column giai_ngan.luy_ke_nam is 'Luỹ kế từ đầu năm ngân sách đến hết tháng, đồng';
comment on column giai_ngan.so_chung_tu is 'Số chứng từ kho bạc';
comment on column giai_ngan.ngay_bao_cao is 'Ngày chốt số liệu của tháng';
comment on column giai_ngan.trang_thai is 'Trạng thái: 1 kế toán nhập, 2 đã xác nhận, 3 đã khoá';
comment on column giai_ngan.ngay_cap_nhat is 'Thời gian cập nhật bản ghi';
comment on column giai_ngan.da_xoa is 'Bản ghi đã xoá (xoá mềm)';

create table hop_dong (
    id            bigint not null,
    ma_du_an      varchar(10) not null,
    so_hop_dong   varchar(50) not null,
    ten_goi_thau  varchar(500) not null,
    loai          varchar(1) not null,
    hinh_thuc     varchar(1) not null,
    nha_thau      varchar(255) not null,
    ma_so_thue    varchar(14) not null,
    gia_tri       numeric(18,0) not null,
    ngay_ky       date not null,
    ngay_ket_thuc date,
    ngay_cap_nhat timestamptz not null default clock_timestamp(),
    da_xoa        boolean not null default false,
    primary key (id)
);

comment on table hop_dong is 'Hợp đồng của dự án';
comment on column hop_dong.id is 'Số thứ tự bản ghi';
comment on column hop_dong.ma_du_an is 'Mã dự án';
comment on column hop_dong.so_hop_dong is 'Số hợp đồng';
comment on column hop_dong.ten_goi_thau is 'Tên gói thầu';
comment on column hop_dong.loai is 'Loại: 1 tư vấn, 2 xây lắp, 3 thiết bị, 4 khác';
comment on column hop_dong.hinh_thuc is 'Hình thức chọn nhà thầu: 1 đấu thầu rộng rãi qua mạng, 2 chỉ định thầu, 3 chào hàng cạnh tranh';
comment on column hop_dong.nha_thau is 'Tên nhà thầu';
comment on column hop_dong.ma_so_thue is 'Mã số thuế của nhà thầu';
comment on column hop_dong.gia_tri is 'Giá trị hợp đồng, đồng';
comment on column hop_dong.ngay_ky is 'Ngày ký';
comment on column hop_dong.ngay_ket_thuc is 'Ngày kết thúc theo hợp đồng';
comment on column hop_dong.ngay_cap_nhat is 'Thời gian cập nhật bản ghi';
comment on column hop_dong.da_xoa is 'Bản ghi đã xoá (xoá mềm)';

create table vuong_mac (
    id              bigint not null,
    ma_du_an        varchar(10) not null,
    loai            varchar(1) not null,
    muc_do          varchar(1) not null,
    noi_dung        text not null,
    co_quan_xu_ly   varchar(255) not null,
    ngay_phat_sinh  date not null,
    han_giai_quyet  date,
    ngay_giai_quyet date,
    chi_tiet        jsonb,
    ngay_cap_nhat   timestamptz not null default clock_timestamp(),
    da_xoa          boolean not null default false,
    primary key (id)
);

comment on table vuong_mac is 'Khó khăn, vướng mắc của dự án';
comment on column vuong_mac.id is 'Số thứ tự bản ghi';
comment on column vuong_mac.ma_du_an is 'Mã dự án';
comment on column vuong_mac.loai is 'Loại: 1 giải phóng mặt bằng, 2 thủ tục, 3 vốn, 4 nhà thầu, 5 vật liệu';
comment on column vuong_mac.muc_do is 'Mức độ: 1 thấp, 2 trung bình, 3 cao';
comment on column vuong_mac.noi_dung is 'Nội dung vướng mắc';
comment on column vuong_mac.co_quan_xu_ly is 'Cơ quan có trách nhiệm xử lý';
comment on column vuong_mac.ngay_phat_sinh is 'Ngày phát sinh';
comment on column vuong_mac.han_giai_quyet is 'Hạn giải quyết';
comment on column vuong_mac.ngay_giai_quyet is 'Ngày giải quyết xong; để trống là chưa xong';
comment on column vuong_mac.chi_tiet is 'Chi tiết khác: số hộ, diện tích (ha), kiến nghị';
comment on column vuong_mac.ngay_cap_nhat is 'Thời gian cập nhật bản ghi';
comment on column vuong_mac.da_xoa is 'Bản ghi đã xoá (xoá mềm)';

-- after load
create index du_an_ngay_cap_nhat_idx on du_an (ngay_cap_nhat);
create index quyet_dinh_ngay_cap_nhat_idx on quyet_dinh (ngay_cap_nhat);
create index quyet_dinh_ma_du_an_idx on quyet_dinh (ma_du_an);
create index ke_hoach_von_ngay_cap_nhat_idx on ke_hoach_von (ngay_cap_nhat);
create index ke_hoach_von_ma_du_an_idx on ke_hoach_von (ma_du_an);
create index giai_ngan_ngay_cap_nhat_idx on giai_ngan (ngay_cap_nhat);
create index giai_ngan_ma_du_an_idx on giai_ngan (ma_du_an);
create index hop_dong_ngay_cap_nhat_idx on hop_dong (ngay_cap_nhat);
create index hop_dong_ma_du_an_idx on hop_dong (ma_du_an);
create index vuong_mac_ngay_cap_nhat_idx on vuong_mac (ngay_cap_nhat);
create index vuong_mac_ma_du_an_idx on vuong_mac (ma_du_an);
