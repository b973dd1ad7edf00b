-- Dữ liệu khám chữa bệnh theo chuẩn gói tin giám định bảo hiểm y tế và các chứng từ điện tử của tỉnh 44.
-- Statements below the line "after load" are run once the rows are in.

create table co_so_kcb (
    "MA_CSKCB"       varchar(5) not null,
    "TEN_CSKCB"      varchar(255) not null,
    "HANG"           varchar(1),
    "TUYEN"          varchar(1) not null,
    "LOAI_HINH"      varchar(1) not null,
    "MA_XA"          varchar(5) not null,
    "MA_HUYEN"       varchar(3),
    "MA_TINH"        varchar(2) not null,
    "SO_GIUONG"      integer not null,
    "DANG_HOAT_DONG" boolean not null,
    primary key ("MA_CSKCB")
);

comment on table co_so_kcb is 'Cơ sở khám bệnh, chữa bệnh (danh mục, lấy toàn bộ)';
comment on column co_so_kcb."MA_CSKCB" is 'Mã cơ sở khám chữa bệnh, 5 ký tự, hai ký tự đầu là mã tỉnh lúc cấp mã';
comment on column co_so_kcb."TEN_CSKCB" is 'Tên cơ sở';
comment on column co_so_kcb."HANG" is 'Hạng bệnh viện: 1, 2, 3, 4; để trống với trạm y tế';
comment on column co_so_kcb."TUYEN" is 'Tuyến cũ: 1 trung ương, 2 tỉnh, 3 huyện, 4 xã';
comment on column co_so_kcb."LOAI_HINH" is 'Loại hình: 1 công lập, 2 tư nhân';
comment on column co_so_kcb."MA_XA" is 'Mã xã nơi đặt cơ sở: từ 1/7/2025 theo danh mục mới';
comment on column co_so_kcb."MA_HUYEN" is 'Mã huyện: để trống từ 1/7/2025';
comment on column co_so_kcb."MA_TINH" is 'Mã tỉnh';
comment on column co_so_kcb."SO_GIUONG" is 'Số giường bệnh kế hoạch';
comment on column co_so_kcb."DANG_HOAT_DONG" is 'Đang hoạt động';

create table xml1 (
    "ID"                 bigint not null,
    "MA_LK"              varchar(100) not null,
    "MA_BN"              varchar(100) not null,
    "HO_TEN"             varchar(255) not null,
    "SO_CCCD"            varchar(15),
    "NGAY_SINH"          varchar(12) not null,
    "GIOI_TINH"          varchar(1) not null,
    "MA_DANTOC"          varchar(2) not null,
    "DIA_CHI"            varchar(1024),
    "MATINH_CU_TRU"      varchar(2) not null,
    "MAHUYEN_CU_TRU"     varchar(3),
    "MAXA_CU_TRU"        varchar(5) not null,
    "DIEN_THOAI"         varchar(15),
    "MA_THE_BHYT"        varchar(100),
    "MA_DKBD"            varchar(50),
    "GT_THE_TU"          varchar(50),
    "GT_THE_DEN"         varchar(50),
    "MA_DOITUONG_KCB"    varchar(4) not null,
    "NGAY_VAO"           varchar(12) not null,
    "NGAY_RA"            varchar(12) not null,
    "NGAY_TTOAN"         varchar(12),
    "SO_NGAY_DTRI"       integer not null,
    "MA_BENH_CHINH"      varchar(7) not null,
    "MA_BENH_KT"         varchar(100),
    "KET_QUA_DTRI"       varchar(1) not null,
    "MA_LOAI_RV"         varchar(1) not null,
    "MA_LOAI_KCB"        varchar(2) not null,
    "MA_KHOA"            varchar(50) not null,
    "MA_CSKCB"           varchar(5) not null,
    "T_THUOC"            numeric(15,2) not null,
    "T_DICH_VU"          numeric(15,2) not null,
    "T_TONGCHI_BV"       numeric(15,2) not null,
    "T_TONGCHI_BH"       numeric(15,2) not null,
    "T_BNTT"             numeric(15,2) not null,
    "T_BNCCT"            numeric(15,2) not null,
    "T_BHTT"             numeric(15,2) not null,
    "T_NGUONKHAC"        numeric(15,2) not null,
    "THOI_GIAN_CAP_NHAT" timestamptz not null default clock_timestamp(),
    "DA_XOA"             boolean not null default false,
    primary key ("ID")
);

comment on table xml1 is 'XML1: tổng hợp một lượt khám chữa bệnh bảo hiểm y tế';
comment on column xml1."ID" is 'Số thứ tự bản ghi nhận được';
comment on column xml1."MA_LK" is 'Mã liên kết của lượt khám; gửi lại thì trùng mã';
comment on column xml1."MA_BN" is 'Mã bệnh nhân do cơ sở khám chữa bệnh cấp';
comment on column xml1."HO_TEN" is 'Họ và tên người bệnh';
comment on column xml1."SO_CCCD" is 'Số căn cước công dân, chứng minh nhân dân 9 số hoặc hộ chiếu; để trống khi không có';
comment on column xml1."NGAY_SINH" is 'Ngày giờ sinh dạng yyyymmddHHMM, phần không rõ ghi số 0';
comment on column xml1."GIOI_TINH" is 'Giới tính: 1 nam, 2 nữ, 3 chưa xác định';
comment on column xml1."MA_DANTOC" is 'Mã dân tộc: 01 Kinh, 23 Bru - Vân Kiều, 31 Tà Ôi (Pa Kô), 44 Chứt, 02 Tày, 06 Mường';
comment on column xml1."DIA_CHI" is 'Địa chỉ cư trú, ghi tự do';
comment on column xml1."MATINH_CU_TRU" is 'Mã tỉnh nơi cư trú';
comment on column xml1."MAHUYEN_CU_TRU" is 'Mã huyện nơi cư trú: để trống từ 1/7/2025';
comment on column xml1."MAXA_CU_TRU" is 'Mã xã nơi cư trú: từ 1/7/2025 theo danh mục mới';
comment on column xml1."DIEN_THOAI" is 'Số điện thoại liên hệ';
comment on column xml1."MA_THE_BHYT" is 'Số thẻ bảo hiểm y tế, nhiều thẻ cách nhau bởi dấu chấm phẩy; thẻ mới chỉ in 10 số cuối';
comment on column xml1."MA_DKBD" is 'Mã cơ sở đăng ký khám chữa bệnh ban đầu';
comment on column xml1."GT_THE_TU" is 'Thẻ có giá trị từ ngày, dạng yyyymmdd';
comment on column xml1."GT_THE_DEN" is 'Thẻ có giá trị đến ngày, dạng yyyymmdd';
comment on column xml1."MA_DOITUONG_KCB" is 'Đối tượng đến khám: 1 đúng tuyến, 2 cấp cứu, 3 trái tuyến, 9 không dùng thẻ';
comment on column xml1."NGAY_VAO" is 'Thời điểm đến khám hoặc vào viện, dạng yyyymmddHHMM';
comment on column xml1."NGAY_RA" is 'Thời điểm kết thúc khám hoặc ra viện, dạng yyyymmddHHMM';
comment on column xml1."NGAY_TTOAN" is 'Thời điểm thanh toán, dạng yyyymmddHHMM';
comment on column xml1."SO_NGAY_DTRI" is 'Số ngày điều trị thực tế; khám ngoại trú là 0';
comment on column xml1."MA_BENH_CHINH" is 'Mã bệnh chính theo ICD-10';
comment on column xml1."MA_BENH_KT" is 'Mã bệnh kèm theo ICD-10, tối đa 12 mã cách nhau bởi dấu chấm phẩy';
comment on column xml1."KET_QUA_DTRI" is 'Kết quả điều trị: 1 khỏi, 2 đỡ, 3 không thay đổi, 4 nặng hơn, 5 tử vong';
comment on column xml1."MA_LOAI_RV" is 'Loại ra viện: 1 ra viện, 2 chuyển tuyến, 3 trốn viện, 4 xin ra viện';
comment on column xml1."MA_LOAI_KCB" is 'Loại khám chữa bệnh: 01 khám bệnh, 02 điều trị ngoại trú, 03 điều trị nội trú';
comment on column xml1."MA_KHOA" is 'Mã khoa: K01 khám bệnh, K03 nội, K11 truyền nhiễm, K18 nhi, K19 ngoại, K27 sản';
comment on column xml1."MA_CSKCB" is 'Mã cơ sở khám chữa bệnh';
comment on column xml1."T_THUOC" is 'Tổng tiền thuốc, đồng, bằng tổng thành tiền của XML2';
comment on column xml1."T_DICH_VU" is 'Tổng tiền dịch vụ kỹ thuật và vật tư, đồng, bằng tổng thành tiền của XML3';
comment on column xml1."T_TONGCHI_BV" is 'Tổng chi phí theo giá bệnh viện, đồng';
comment on column xml1."T_TONGCHI_BH" is 'Tổng chi phí trong phạm vi bảo hiểm, đồng';
comment on column xml1."T_BNTT" is 'Người bệnh tự trả ngoài phạm vi bảo hiểm, đồng';
comment on column xml1."T_BNCCT" is 'Người bệnh cùng chi trả, đồng';
comment on column xml1."T_BHTT" is 'Quỹ bảo hiểm y tế thanh toán, đồng';
comment on column xml1."T_NGUONKHAC" is 'Nguồn khác chi trả, đồng';
comment on column xml1."THOI_GIAN_CAP_NHAT" is 'Thời gian cập nhật bản ghi';
comment on column xml1."DA_XOA" is 'Bản ghi đã xoá (xoá mềm)';

create table xml2 (
    "ID"                 bigint not null,
    "MA_LK"              varchar(100) not null,
    "STT"                integer not null,
    "MA_THUOC"           varchar(255) not null,
    "TEN_THUOC"          varchar(1024) not null,
    "DON_VI_TINH"        varchar(50) not null,
    "SO_DANG_KY"         varchar(255),
    "SO_LUONG"           numeric(10,3) not null,
    "DON_GIA"            numeric(15,3) not null,
    "THANH_TIEN_BV"      numeric(15,2) not null,
    "THANH_TIEN_BH"      numeric(15,2) not null,
    "MUC_HUONG"          integer not null,
    "NGAY_YL"            varchar(12) not null,
    "THOI_GIAN_CAP_NHAT" timestamptz not null default clock_timestamp(),
    "DA_XOA"             boolean not null default false,
    primary key ("ID")
);

comment on table xml2 is 'XML2: chi tiết thuốc của lượt khám';
comment on column xml2."ID" is 'Số thứ tự bản ghi nhận được';
comment on column xml2."MA_LK" is 'Mã liên kết của lượt khám';
comment on column xml2."STT" is 'Số thứ tự dòng thuốc trong lượt khám';
comment on column xml2."MA_THUOC" is 'Mã hoạt chất thuốc theo danh mục dùng chung';
comment on column xml2."TEN_THUOC" is 'Tên thuốc';
comment on column xml2."DON_VI_TINH" is 'Đơn vị tính';
comment on column xml2."SO_DANG_KY" is 'Số đăng ký lưu hành';
comment on column xml2."SO_LUONG" is 'Số lượng';
comment on column xml2."DON_GIA" is 'Đơn giá, đồng';
comment on column xml2."THANH_TIEN_BV" is 'Thành tiền theo giá bệnh viện, đồng';
comment on column xml2."THANH_TIEN_BH" is 'Thành tiền trong phạm vi bảo hiểm, đồng';
comment on column xml2."MUC_HUONG" is 'Mức hưởng, phần trăm';
comment on column xml2."NGAY_YL" is 'Thời điểm ra y lệnh, dạng yyyymmddHHMM';
comment on column xml2."THOI_GIAN_CAP_NHAT" is 'Thời gian cập nhật bản ghi';
comment on column xml2."DA_XOA" is 'Bản ghi đã xoá (xoá mềm)';

create table xml3 (
    "ID"                 bigint not null,
    "MA_LK"              varchar(100) not null,
    "STT"                integer not null,
    "MA_DICH_VU"         varchar(50),
    "MA_VAT_TU"          varchar(255),
    "MA_NHOM"            varchar(2) not null,
    "TEN_DICH_VU"        varchar(1024) not null,
    "SO_LUONG"           numeric(10,3) not null,
    "DON_GIA_BV"         numeric(15,3) not null,
    "DON_GIA_BH"         numeric(15,3) not null,
    "THANH_TIEN_BV"      numeric(15,2) not null,
    "THANH_TIEN_BH"      numeric(15,2) not null,
    "MUC_HUONG"          integer not null,
    "NGAY_YL"            varchar(12) not null,
    "NGAY_TH_YL"         varchar(12),
    "THOI_GIAN_CAP_NHAT" timestamptz not null default clock_timestamp(),
    "DA_XOA"             boolean not null default false,
    primary key ("ID")
);

comment on table xml3 is 'XML3: chi tiết dịch vụ kỹ thuật và vật tư y tế của lượt khám';
comment on column xml3."ID" is 'Số thứ tự bản ghi nhận được';
comment on column xml3."MA_LK" is 'Mã liên kết của lượt khám';
comment on column xml3."STT" is 'Số thứ tự dòng trong lượt khám';
comment on column xml3."MA_DICH_VU" is 'Mã dịch vụ kỹ thuật; để trống nếu dòng là vật tư';
comment on column xml3."MA_VAT_TU" is 'Mã vật tư y tế; để trống nếu dòng là dịch vụ';
comment on column xml3."MA_NHOM" is 'Nhóm chi phí: 1 xét nghiệm, 2 chẩn đoán hình ảnh, 8 thủ thuật phẫu thuật, 10 vật tư, 13 khám bệnh, 15 ngày giường';
comment on column xml3."TEN_DICH_VU" is 'Tên dịch vụ hoặc vật tư';
comment on column xml3."SO_LUONG" is 'Số lượng';
comment on column xml3."DON_GIA_BV" is 'Đơn giá bệnh viện, đồng';
comment on column xml3."DON_GIA_BH" is 'Đơn giá bảo hiểm, đồng';
comment on column xml3."THANH_TIEN_BV" is 'Thành tiền theo giá bệnh viện, đồng';
comment on column xml3."THANH_TIEN_BH" is 'Thành tiền trong phạm vi bảo hiểm, đồng';
comment on column xml3."MUC_HUONG" is 'Mức hưởng, phần trăm';
comment on column xml3."NGAY_YL" is 'Thời điểm ra y lệnh, dạng yyyymmddHHMM';
comment on column xml3."NGAY_TH_YL" is 'Thời điểm thực hiện y lệnh, dạng yyyymmddHHMM';
comment on column xml3."THOI_GIAN_CAP_NHAT" is 'Thời gian cập nhật bản ghi';
comment on column xml3."DA_XOA" is 'Bản ghi đã xoá (xoá mềm)';

create table giay_chung_sinh (
    "ID"                 bigint not null,
    "MA_GCS"             varchar(30) not null,
    "MA_CSKCB"           varchar(5) not null,
    "HO_TEN_ME"          varchar(255) not null,
    "NGAY_SINH_ME"       varchar(12) not null,
    "SO_CCCD_ME"         varchar(15),
    "MA_DANTOC_ME"       varchar(2) not null,
    "MATINH_CU_TRU"      varchar(2) not null,
    "MAHUYEN_CU_TRU"     varchar(3),
    "MAXA_CU_TRU"        varchar(5) not null,
    "DIA_CHI"            varchar(1024),
    "HO_TEN_CHA"         varchar(255),
    "TEN_CON"            varchar(255),
    "GIOI_TINH_CON"      varchar(1) not null,
    "NGAY_SINH_CON"      varchar(12) not null,
    "CAN_NANG_CON"       integer not null,
    "SO_CON"             integer not null,
    "LAN_SINH"           integer not null,
    "NGAY_CT"            varchar(8) not null,
    "THOI_GIAN_CAP_NHAT" timestamptz not null default clock_timestamp(),
    "DA_XOA"             boolean not null default false,
    primary key ("ID")
);

comment on table giay_chung_sinh is 'Giấy chứng sinh điện tử do cơ sở y tế cấp';
comment on column giay_chung_sinh."ID" is 'Số thứ tự bản ghi nhận được';
comment on column giay_chung_sinh."MA_GCS" is 'Mã giấy chứng sinh: GCS, mã cơ sở, năm, số thứ tự';
comment on column giay_chung_sinh."MA_CSKCB" is 'Mã cơ sở khám chữa bệnh nơi sinh';
comment on column giay_chung_sinh."HO_TEN_ME" is 'Họ và tên mẹ';
comment on column giay_chung_sinh."NGAY_SINH_ME" is 'Ngày sinh mẹ dạng yyyymmddHHMM, phần không rõ ghi số 0';
comment on column giay_chung_sinh."SO_CCCD_ME" is 'Số căn cước công dân của mẹ';
comment on column giay_chung_sinh."MA_DANTOC_ME" is 'Mã dân tộc của mẹ';
comment on column giay_chung_sinh."MATINH_CU_TRU" is 'Mã tỉnh nơi cư trú của mẹ';
comment on column giay_chung_sinh."MAHUYEN_CU_TRU" is 'Mã huyện nơi cư trú của mẹ: để trống từ 1/7/2025';
comment on column giay_chung_sinh."MAXA_CU_TRU" is 'Mã xã nơi cư trú của mẹ';
comment on column giay_chung_sinh."DIA_CHI" is 'Địa chỉ cư trú của mẹ, ghi tự do';
comment on column giay_chung_sinh."HO_TEN_CHA" is 'Họ và tên cha';
comment on column giay_chung_sinh."TEN_CON" is 'Tên dự định đặt cho con';
comment on column giay_chung_sinh."GIOI_TINH_CON" is 'Giới tính con: 1 nam, 2 nữ, 3 chưa xác định';
comment on column giay_chung_sinh."NGAY_SINH_CON" is 'Thời điểm sinh con, dạng yyyymmddHHMM';
comment on column giay_chung_sinh."CAN_NANG_CON" is 'Cân nặng của con, tính bằng gam';
comment on column giay_chung_sinh."SO_CON" is 'Số con trong lần sinh này';
comment on column giay_chung_sinh."LAN_SINH" is 'Lần sinh thứ mấy của mẹ';
comment on column giay_chung_sinh."NGAY_CT" is 'Ngày cấp chứng từ, dạng yyyymmdd';
comment on column giay_chung_sinh."THOI_GIAN_CAP_NHAT" is 'Thời gian cập nhật bản ghi';
comment on column giay_chung_sinh."DA_XOA" is 'Bản ghi đã xoá (xoá mềm)';

create table giay_bao_tu (
    "ID"                 bigint not null,
    "MA_GBT"             varchar(30) not null,
    "MA_CSKCB"           varchar(5) not null,
    "HO_TEN"             varchar(255) not null,
    "SO_CCCD"            varchar(15),
    "NGAY_SINH"          varchar(12) not null,
    "GIOI_TINH"          varchar(1) not null,
    "MA_DANTOC"          varchar(2) not null,
    "MATINH_CU_TRU"      varchar(2) not null,
    "MAHUYEN_CU_TRU"     varchar(3),
    "MAXA_CU_TRU"        varchar(5) not null,
    "DIA_CHI"            varchar(1024),
    "NGAY_TU_VONG"       varchar(12) not null,
    "MA_NGUYEN_NHAN"     varchar(7) not null,
    "NGAY_CT"            varchar(8) not null,
    "THOI_GIAN_CAP_NHAT" timestamptz not null default clock_timestamp(),
    "DA_XOA"             boolean not null default false,
    primary key ("ID")
);

comment on table giay_bao_tu is 'Giấy báo tử điện tử do cơ sở y tế cấp';
comment on column giay_bao_tu."ID" is 'Số thứ tự bản ghi nhận được';
comment on column giay_bao_tu."MA_GBT" is 'Mã giấy báo tử: GBT, mã cơ sở, năm, số thứ tự';
comment on column giay_bao_tu."MA_CSKCB" is 'Mã cơ sở khám chữa bệnh cấp giấy';
comment on column giay_bao_tu."HO_TEN" is 'Họ và tên người tử vong';
comment on column giay_bao_tu."SO_CCCD" is 'Số căn cước công dân hoặc chứng minh nhân dân';
comment on column giay_bao_tu."NGAY_SINH" is 'Ngày giờ sinh dạng yyyymmddHHMM, phần không rõ ghi số 0';
comment on column giay_bao_tu."GIOI_TINH" is 'Giới tính: 1 nam, 2 nữ, 3 chưa xác định';
comment on column giay_bao_tu."MA_DANTOC" is 'Mã dân tộc';
comment on column giay_bao_tu."MATINH_CU_TRU" is 'Mã tỉnh nơi cư trú';
comment on column giay_bao_tu."MAHUYEN_CU_TRU" is 'Mã huyện nơi cư trú: để trống từ 1/7/2025';
comment on column giay_bao_tu."MAXA_CU_TRU" is 'Mã xã nơi cư trú';
comment on column giay_bao_tu."DIA_CHI" is 'Địa chỉ cư trú, ghi tự do';
comment on column giay_bao_tu."NGAY_TU_VONG" is 'Thời điểm tử vong, dạng yyyymmddHHMM';
comment on column giay_bao_tu."MA_NGUYEN_NHAN" is 'Mã nguyên nhân tử vong theo ICD-10';
comment on column giay_bao_tu."NGAY_CT" is 'Ngày cấp chứng từ, dạng yyyymmdd';
comment on column giay_bao_tu."THOI_GIAN_CAP_NHAT" is 'Thời gian cập nhật bản ghi';
comment on column giay_bao_tu."DA_XOA" is 'Bản ghi đã xoá (xoá mềm)';

-- after load
create index xml1_thoi_gian_cap_nhat_idx on xml1 ("THOI_GIAN_CAP_NHAT");
create index xml1_ma_lk_idx on xml1 ("MA_LK");
create index xml2_thoi_gian_cap_nhat_idx on xml2 ("THOI_GIAN_CAP_NHAT");
create index xml2_ma_lk_idx on xml2 ("MA_LK");
create index xml3_thoi_gian_cap_nhat_idx on xml3 ("THOI_GIAN_CAP_NHAT");
create index xml3_ma_lk_idx on xml3 ("MA_LK");
create index giay_chung_sinh_thoi_gian_cap_nhat_idx on giay_chung_sinh ("THOI_GIAN_CAP_NHAT");
create index giay_chung_sinh_ma_gcs_idx on giay_chung_sinh ("MA_GCS");
create index giay_bao_tu_thoi_gian_cap_nhat_idx on giay_bao_tu ("THOI_GIAN_CAP_NHAT");
create index giay_bao_tu_ma_gbt_idx on giay_bao_tu ("MA_GBT");
