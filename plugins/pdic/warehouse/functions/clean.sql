-- How values are cleaned (docs/cleaning.md). Every function is immutable, raises nothing, returns NULL for "nothing" and
-- leaves what it returned alone when it is called again. Callers ask first whether a value is sound (plugins/pdic/cleaning.py):
-- these are the slow paths. Letters are folded under the collation clean.letters (C.UTF-8), so the database's locale decides nothing.

-- Text without zero-width characters, with single blanks between words and none around.
create or replace function clean.blanks(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select btrim(regexp_replace(
        regexp_replace(value, '[\u200b-\u200d\u2060\ufeff]', '', 'g'),
        '[\s\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+', ' ', 'g'
    ), ' ');
end;

-- Without accents, in small letters: for comparisons only.
create or replace function clean.folded(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select translate(
        lower(regexp_replace(normalize(value, nfd), '[\u0300-\u036f]', '', 'g') collate clean.letters), 'đ', 'd'
    );
end;

-- Whether a text is a word for nothing.
create or replace function clean.is_nothing(value text) returns boolean
language sql immutable strict parallel safe
begin atomic
    select value ~ '^[-–—.*?/_ ]*$' or clean.folded(value) in (
        'null', '(null)', 'none', 'n/a', '#n/a', 'khong co', 'khong co thong tin', 'khong co du lieu', 'chua co',
        'chua co thong tin', 'chua cap nhat', 'dang cap nhat'
    );
end;

-- Whether every word that is not plain ASCII has the shape of a Vietnamese syllable, or of one in the names of the highlands
-- (Krông, Đắk Pxi, Păh, Đakrông).
create or replace function clean.is_vietnamese(value text) returns boolean
language sql immutable strict parallel safe
begin atomic
    select not exists (
        select 1
        from regexp_split_to_table(
            lower(normalize(value, nfc) collate clean.letters), '[\u0001-\u0040\u005b-\u0060\u007b-\u007e\u00a0\u2000-\u206f]+'
        ) as word
        where
            word ~ '[^\u0001-\u007e]'
            and word !~ '^ê?ñuôl$' -- of the Ê-đê, whose ñ is VNI's đ
            and (
                -- One tone at most, and on a vowel,
                regexp_count(normalize(word, nfd), '[\u0300\u0301\u0303\u0309\u0323]') > 1
                or normalize(word, nfd) ~ '[^aeiouy\u0302\u0306\u031b][\u0300\u0301\u0303\u0309\u0323]'
                -- and without it: onset, vowels, coda.
                or normalize(regexp_replace(normalize(word, nfd), '[\u0300\u0301\u0303\u0309\u0323]', '', 'g'), nfc) !~ (
                    '^(đa(?=kr))?(ngh|ng|nh|gh|gi|kh|ph|qu|th|ch|px|[bdđghkmpstxz][lr]|[bdđ]h|h[dđmrw]|k[bdđnpst]|m[dđ]|n[dđ]|r[chlm]|bd|[bcdđghjklmnpqrstvwxyz])?'
                    '(ươu|ươi|ươ|ưa|ưi|ưu|uyê|uya|uyu|uây|uâ|uêu|uê|uôi|uô|uơ|ua|ui|uy|iêu|iê|ia|iu|yêu|yê|oai|oao|oay|oeo|oa|oă|oe|oi|oo'
                    '|ôi|ơi|ai|ao|au|ay|âu|ây|eo|êu|a|ă|â|e|ê|i|o|ô|ơ|u|ư|y)'
                    '(ng|nh|ch|[chklmnprst])?$'
                )
            )
    );
end;

-- Text in the older encodings TCVN3 (TCVN 5712:1993) and VNI whose bytes were read as Latin-1, decoded (the tables are in
-- plugins/pdic/encodings.py); lookalikes of đ made đ. A text is taken for such only where it is no Vietnamese as it stands and is once decoded. Capitals with accents
-- are small letters in TCVN3: they are capitals where all others are.
create or replace function clean.decoded(value text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    plain text := translate(value, U&'\00D0\00F0\0189\0256', 'ĐđĐđ');
    decoded text;
    vni text;
begin
    if value !~ '[\u00a1-\u00ff]' or value ~ '[^\u0001-\u00ff\u2010-\u201f]' or clean.is_vietnamese(plain) then
        return plain;
    end if;
    -- VNI: a vowel and a letter that stands for its marks; six letters and đ of their own.
    if value ~ (
        '^([\u0001-\u007e\u2010-\u201f]|[aeouyôöAEOUYÔÖ][ùøûõïáàåãäéèúüëâêÙØÛÕÏÁÀÅÃÄÉÈÚÜËÂÊ]|[ôöíìæóòîñÔÖÍÌÆÓÒÎÑ])+$'
    ) then
        decoded := clean.from_vni(value);
        if clean.is_vietnamese(decoded) then
            vni := decoded;
            -- A capital inside of a word, or a rime that is none, may tell of TCVN3.
            if
                decoded !~ '[ìíỉĩị](ng|c)([^a-z]|$)'
                and not (decoded ~ '[a-z]' and decoded ~ '[[:alpha:]](?![A-Z])[[:upper:]]' collate clean.letters)
            then
                return vni;
            end if;
        end if;
    end if;
    if value !~ '[\u0080-\u00a0\u00b0-\u00b4\u00ba\u00bf-\u00c5\u00cd\u00d9-\u00db\u00e0\u00f0\u00ff]' then
        decoded := clean.from_tcvn3(value);
        if clean.is_vietnamese(decoded) then
            return case when value ~ '[A-Z][A-Z]' and value !~ '[a-z]' then upper(decoded collate clean.letters) else decoded end;
        end if;
    end if;
    return coalesce(vni, plain);
end
$$;

-- NFC, and the tone where this house writes it: hòa, khỏe, thủy; toàn, ngoài, huỳnh; quý, già.
create or replace function clean.toned(value text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    tone constant text := '([\u0300\u0301\u0303\u0309\u0323])';
    letters text := normalize(value, nfd);
begin
    letters := regexp_replace(letters, tone || '([\u0302\u0306\u031b])', '\2\1', 'g');
    letters := regexp_replace(letters, '([oO])([aAeE])' || tone || '(?![A-Za-zđĐ\u0300-\u036f])', '\1\3\2', 'g');
    letters := regexp_replace(letters, '(^|[^qQ])([uU])([yY])' || tone || '(?![A-Za-zđĐ\u0300-\u036f])', '\1\2\4\3', 'g');
    letters := regexp_replace(letters, '([oO])' || tone || '([aAeE])(?=[a-zA-Z])', '\1\3\2', 'g');
    letters := regexp_replace(letters, '(^|[^qQ])([uU])' || tone || '([yY])(?=[ncptNCPT])', '\1\2\4\3', 'g');
    letters := regexp_replace(letters, '([qQ][uU])' || tone || '([aAeEiIoOyY][\u0302\u0306\u031b]*)', '\1\3\2', 'g');
    letters := regexp_replace(letters, '([gG][iI])' || tone || '([aAoOuUeE][\u0302\u0306\u031b]*)', '\1\3\2', 'g');
    return normalize(letters, nfc);
end
$$;

-- Free text.
create or replace function clean.words(value text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    text_ text := clean.toned(clean.decoded(clean.blanks(value)));
begin
    return case when not clean.is_nothing(text_) then text_ end;
end
$$;

-- Whether a word is a family name in Vietnam (Kinh, Hoa and the smaller peoples), as names are written.
create or replace function clean.is_family_name(word text) returns boolean
language sql immutable parallel safe
begin atomic
    select word in (
        'Nguyễn', 'Trần', 'Lê', 'Phạm', 'Hoàng', 'Huỳnh', 'Phan', 'Vũ', 'Võ', 'Đặng', 'Bùi', 'Đỗ', 'Hồ', 'Ngô', 'Dương', 'Lý', 'Âu', 'Bá',
        'Bạch', 'Bành', 'Bế', 'Biện', 'Ca', 'Cái', 'Cam', 'Cao', 'Cát', 'Chu', 'Chung', 'Chử', 'Chế', 'Cung', 'Cù', 'Dã', 'Danh', 'Diệp',
        'Doãn', 'Diêm', 'Đàm', 'Đan', 'Đào', 'Đậu', 'Điền', 'Điểu', 'Đinh', 'Đoàn', 'Đồng', 'Đổng', 'Đới', 'Đống', 'Đường', 'Đồ', 'Giang',
        'Giáp', 'Hà', 'Hạ', 'Hàn', 'Hàng', 'Hầu', 'Hình', 'Hoa', 'Hứa', 'Hùng', 'Kha', 'Khà', 'Khiếu', 'Khổng', 'Khúc', 'Khuất', 'Khương',
        'Kiên', 'Kiều', 'Kim', 'Kỷ', 'La', 'Lã', 'Lại', 'Lâm', 'Lầu', 'Lèng', 'Lò', 'Lỗ', 'Lộc', 'Lô', 'Lù', 'Lục', 'Lữ', 'Lương',
        'Lường', 'Lưu', 'Lềnh', 'Ma', 'Má', 'Mã', 'Mạc', 'Mạch', 'Mai', 'Mẫn', 'Mâu', 'Mông', 'Mùa', 'Ngân', 'Nghê', 'Nghiêm', 'Ngụy',
        'Ninh', 'Nông', 'Ôn', 'Ông', 'Phí', 'Phó', 'Phù', 'Phùng', 'Phương', 'Quách', 'Quan', 'Quàng', 'Sái', 'Sầm', 'Sùng', 'Sơn', 'Tạ',
        'Tăng', 'Tào', 'Tẩn', 'Thạch', 'Thái', 'Thẩm', 'Thân', 'Thào', 'Thi', 'Thiều', 'Thang', 'Tiêu', 'Tòng', 'Tô', 'Tôn', 'Tống',
        'Trà', 'Trang', 'Tráng', 'Triệu', 'Trịnh', 'Trình', 'Trương', 'Tưởng', 'Từ', 'Ung', 'Văn', 'Vàng', 'Vàm', 'Vi', 'Viên', 'Vì',
        'Viêm', 'Vừ', 'Vương', 'Xa', 'Xồng', 'Yên', 'Giàng', 'Cà', 'Cầm', 'Côn', 'Kray', 'Pả', 'Alăng', 'Arất', 'Bríu', 'Bling', 'Bhling',
        'Coor', 'Zơrâm', 'Pơloong', 'Ploong', 'Hiên', 'Riah', 'Ksor', 'Siu', 'Rơ', 'Rmah', 'Nay', 'Kpă', 'Kpuih', 'Niê', 'Ayun', 'Êban',
        'Mlô', 'Byă', 'Ktla', 'Buôn', 'Adrơng', 'Knul', 'Hwing', 'Ndu', 'Cil', 'Kơ', 'Liêng', 'Bon', 'Đa', 'Kră', 'Y', 'A', 'H',
        'Chamaléa', 'Katơr', 'Pinăng', 'Pupur', 'Ân', 'Bàng', 'Bồ', 'Cáp', 'Cổ', 'Công', 'Cứ', 'Diêu', 'Đái', 'Đôn', 'Giản', 'Hoắc',
        'Khâu', 'Khưu', 'Kỳ', 'Lạc', 'Lều', 'Liễu', 'Mộc', 'Nhâm', 'Nhan', 'Nhiêu', 'Nhữ', 'Phi', 'Sử', 'Tất', 'Tiết', 'Trác', 'Trầm',
        'Trì', 'Uông', 'Ưng', 'Vạn', 'Vòng', 'Bạc', 'Bàn', 'Bao', 'Bì', 'Bồng', 'Cai', 'Cấn', 'Châu', 'Chiêm', 'Chúc', 'Cồ', 'Cự', 'Dư',
        'Đầu', 'Đèo', 'Điêu', 'Đoạn', 'Giao', 'Hán', 'Hi', 'Hy', 'Khu', 'Lai', 'Lăng', 'Lầm', 'Liêu', 'Lộ', 'Luyện', 'Lư', 'Man', 'Mao',
        'Miêu', 'Mục', 'Ngạc', 'Nghị', 'Ngọ', 'Ngũ', 'Ong', 'Ô', 'Phàn', 'Quyền', 'Sỳ', 'Tán', 'Tấn', 'Thôi', 'Thục', 'Tiếp', 'Vệ', 'Vưu',
        'Xung', 'Thàng', 'Rcom', 'Rah', 'Ralan', 'Rahlan', 'Rmăh', 'Kpa', 'Kpăh', 'Kbuôr', 'Kbuor', 'Bdap', 'Êñuôl', 'Eñuôl', 'Ênuôl', 'Enuôl',
        'Eban', 'Hmok', 'Hđơk', 'Hdơk', 'Kriêng', 'Krông', 'Kdăm', 'Kđăm', 'Ndrông', 'Arul', 'Zơ', 'Râm', 'Tơ', 'Pơ', 'Ating', 'Blúp', 'Hốih',
        'Kring', 'Bhnướch', 'Rơmah', 'Rơchâm', 'Jơr', 'Bkrông', 'Mlo', 'Nie', 'Hạng', 'Hờ', 'Phàng', 'Lừu', 'Khoàng', 'Pờ', 'Chẻo', 'Phùn',
        'Chảo', 'Lèo', 'Cút', 'Moong', 'Cụt', 'Xeo', 'Ngần', 'Khuỷu'
    );
end;

-- Whether a word is a family name and hardly ever a middle one, as names are written.
create or replace function clean.is_frequent_family_name(word text) returns boolean
language sql immutable parallel safe
begin atomic
    select word in (
        'Nguyễn', 'Trần', 'Lê', 'Phạm', 'Huỳnh', 'Phan', 'Vũ', 'Võ', 'Đặng', 'Bùi', 'Đỗ', 'Hồ', 'Ngô', 'Dương', 'Lý', 'Đoàn', 'Trương',
        'Trịnh', 'Đinh', 'Phùng', 'Tạ', 'Đào'
    );
end;

-- A name in capitals throughout, or without any, as names are written.
create or replace function clean.capitals(name text) returns text
language sql immutable strict parallel safe
begin atomic
    select case
        when name in (lower(name collate clean.letters), upper(name collate clean.letters)) then initcap(name collate clean.letters)
        else name
    end;
end;

-- A person's name: honorifics dropped, capitals where names have them, the family name first. Names whose words are all of
-- one case are the only ones whose letters change; an honorific or an order is changed only where it cannot be right.
create or replace function clean.name(value text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    whole text := clean.words(value);
    words text[] := string_to_array(clean.capitals(whole), ' ');
    last integer := cardinality(words);
    title text := lower(rtrim(words[1], '.:') collate clean.letters);
    name text[];
begin
    if last >= 3 and title in ('ông', 'bà', 'anh', 'chị', 'cô', 'em', 'cháu') then
        name := string_to_array(clean.capitals(substr(whole, strpos(whole, ' ') + 1)), ' ');
        if
            title in ('bà', 'chị') -- in no name
            or (title <> 'ông' and clean.is_family_name(name[1]))
            -- Ông is a family name, too: Ông Văn Hùng and Ông Cao Thắng stay.
            or clean.is_frequent_family_name(name[1])
            or (title = 'ông' and last >= 4 and name[1] <> 'Văn' and (name[2] in ('Văn', 'Thị') or clean.is_family_name(name[1])))
        then
            words := name;
            last := last - 1;
        end if;
    end if;
    if
        last >= 2
        -- Family names that are hardly ever given ones; Hoàng is both. Some are given now and then: Quý Văn Đoàn may be in order.
        and (
            words[last] in ('Nguyễn', 'Trần', 'Phạm', 'Đặng', 'Bùi', 'Ngô', 'Trương', 'Trịnh')
            or (
                words[last] in ('Huỳnh', 'Phan', 'Võ', 'Đỗ', 'Đoàn', 'Đinh')
                and words[1] in (
                    'Thị', 'Hữu', 'Đức', 'Đình', 'Xuân', 'Ngọc', 'Thu', 'Bích', 'Diệu', 'Mỹ', 'Như', 'Thùy', 'Quốc', 'Trọng', 'Gia',
                    'Nhật', 'Khắc', 'Tiến', 'Mạnh', 'Thế', 'Tuấn', 'Anh', 'Duy', 'Thành', 'Hoài', 'Khánh', 'Quỳnh', 'Tường', 'Lan'
                )
            )
        )
        and words[1] !~ '[''‘’]'
        -- Văn is a family name, too: Văn Thị Hoa stays.
        and not clean.is_family_name(words[1])
    then
        -- Lan Thị Nguyễn: given, middle, family. Thị Lan Nguyễn: the family name last.
        words := case
            when last >= 3 and words[last - 1] in ('Văn', 'Thị') then array[words[last], words[last - 1]] || words[:last - 2]
            else words[last] || words[:last - 1]
        end;
    end if;
    return array_to_string(words, ' ');
end
$$;

-- A code: nothing around it, and nothing for empty.
create or replace function clean.code(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select case when not clean.is_nothing(code.cleaned) then code.cleaned end
    from (select normalize(clean.blanks(value), nfc) as cleaned) as code;
end;

-- A code of `width` digits, which may have lost zeros at its front.
create or replace function clean.digits(value text, width integer) returns text
language sql immutable strict parallel safe
begin atomic
    select case
        when code.cleaned ~ '^\d+(\.0+)?$' and length(split_part(code.cleaned, '.', 1)) <= width
            then lpad(split_part(code.cleaned, '.', 1), width, '0')
        else code.cleaned
    end
    from (select clean.code(value) as cleaned) as code;
end;

-- The code of an administrative unit of any level: 2, 3 or 5 digits. What lost a zero is seen of 5 and of 2 only.
create or replace function clean.unit_code(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select case when code.cleaned ~ '^(\d|\d{4})$' then '0' || code.cleaned else code.cleaned end
    from (select clean.code(value) as cleaned) as code;
end;

-- The number of an identity paper: no blanks, dots, hyphens; zeros that a spreadsheet dropped at the front of a personal
-- number (12 digits, always 0 first for those born in Vietnam) or of a former card (9 digits).
create or replace function clean.personal_id(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select case
        when number.bare ~ '^[1-9]\d{9,10}$' then lpad(number.bare, 12, '0')
        when number.bare ~ '^\d{8}$' then '0' || number.bare
        else number.bare
    end
    from (
        select case when code.cleaned ~ '^[\d .-]+$' then translate(code.cleaned, ' .-', '') else code.cleaned end as bare
        from (select clean.code(value) as cleaned) as code
    ) as number;
end;

-- A telephone number in the form of today, from 0. Mobile numbers of eleven digits became ones of ten in 2018.
create or replace function clean.phone(value text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    code text := clean.code(value);
    digits text := regexp_replace(translate(code, ' .-()', ''), '^(\+84|0084|84(?=\d{9,10}$))0?', '0');
    prefix text;
begin
    if digits is null or digits !~ '^\d{8,11}$' then
        return code;
    end if;
    if digits ~ '^[35789]\d{8}$' or digits ~ '^1(2\d|6[2-9]|8[68]|99)\d{7}$' then
        digits := '0' || digits;
    end if;
    if digits ~ '^01\d{9}$' then
        prefix := case
            when digits ~ '^016[2-9]' then '03' || substr(digits, 4, 1)
            else case left(digits, 4)
                when '0120' then '070' when '0121' then '079' when '0122' then '077' when '0126' then '076' when '0128' then '078'
                when '0123' then '083' when '0124' then '084' when '0125' then '085' when '0127' then '081' when '0129' then '082'
                when '0186' then '056' when '0188' then '058' when '0199' then '059'
            end
        end;
        digits := coalesce(prefix || substr(digits, 5), digits);
    end if;
    return digits;
end
$$;

-- A date in one of the forms that people and spreadsheets write, as yyyymmdd with 00 for an unknown day or month; NULL
-- where it is none. Two digits of a year up to 29 are of this century, others of the last. Where the second number can be
-- no month and the first can, the month came first.
create or replace function clean.date_digits(value text) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    text_ text := regexp_replace(clean.blanks(value), '[ T]\d{1,2}:\d\d(:\d\d(\.\d+)?)?$', '');
    parts text[];
    day integer := 0;
    month integer := 0;
    year integer;
begin
    parts := regexp_match(text_, '^(\d{1,2})\s?[./-]\s?(\d{1,2})\s?[./-]\s?(\d{4}|\d\d)$');
    if parts is not null then
        day := parts[1];
        month := parts[2];
        year := parts[3]::integer + case when length(parts[3]) = 4 then 0 when parts[3] <= '29' then 2000 else 1900 end;
        if month > 12 and day between 1 and 12 then
            day := parts[2];
            month := parts[1];
        end if;
    elsif text_ ~ '^\d{4}[./-]\d{1,2}[./-]\d{1,2}$' then
        parts := regexp_split_to_array(text_, '[./-]');
        year := parts[1];
        month := parts[2];
        day := parts[3];
    elsif text_ ~ '^\d{4}(\.0)?$' then
        year := left(text_, 4);
    elsif text_ ~ '^\d{1,2}[./-]\d{4}$' then
        parts := regexp_split_to_array(text_, '[./-]');
        month := parts[1];
        year := parts[2];
    elsif text_ ~ '^\d{4}[./-]\d{1,2}$' then
        parts := regexp_split_to_array(text_, '[./-]');
        year := parts[1];
        month := parts[2];
    elsif text_ ~ '^\d{5}(\.0)?$' and left(text_, 5) between '00001' and '60000' then
        return to_char(date '1899-12-30' + left(text_, 5)::integer, 'YYYYMMDD');
    elsif text_ ~ '^[12]\d{3}(0\d|1[0-2])([0-2]\d|3[01])(\d{4}(\d\d)?)?$' then
        return left(text_, 8);
    elsif text_ ~ '^([0-2]\d|3[01])(0\d|1[0-2])(19|20)\d\d$' then
        day := left(text_, 2);
        month := substr(text_, 3, 2);
        year := right(text_, 4);
    else
        return null;
    end if;
    if year not between 1000 and 2999 or month > 12 or day > 31 or (month = 0 and day > 0) then
        return null;
    end if;
    return to_char(year, 'FM0000') || to_char(month, 'FM00') || to_char(day, 'FM00');
end
$$;

-- The civil registry's dd.mm.yyyy, mm.yyyy or yyyy; what cannot be read stays as it is.
create or replace function clean.dotted_date(value text) returns text
language sql immutable strict parallel safe
begin atomic
    select case
        when date_.digits is null then clean.code(value)
        else
            case when right(date_.digits, 2) <> '00' then right(date_.digits, 2) || '.' else '' end
            || case when substr(date_.digits, 5, 2) <> '00' then substr(date_.digits, 5, 2) || '.' else '' end
            || left(date_.digits, 4)
    end
    from (select clean.date_digits(value) as digits) as date_;
end;

-- The health insurance's yyyymmdd (`width` 8) or yyyymmddHHMM (12), zeros for what is not known.
create or replace function clean.compact_date(value text, width integer) returns text
language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    cleaned text := clean.code(value);
    digits text := clean.date_digits(value);
    clock text[] := regexp_match(cleaned, '[ T](\d{1,2}):(\d\d)(?::\d\d(?:\.\d+)?)?$');
begin
    if digits is null then
        return cleaned;
    end if;
    return case
        when width = 8 then digits
        when clock is not null then digits || lpad(clock[1], 2, '0') || clock[2]
        when cleaned ~ '^\d{12}(\d\d)?$' then left(cleaned, 12)
        else digits || '0000'
    end;
end
$$;
