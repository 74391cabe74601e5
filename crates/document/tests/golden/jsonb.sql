CREATE TEMP TABLE golden_jsonb (v jsonb);
ALTER TABLE golden_jsonb ALTER v SET STORAGE PLAIN;

-- Bare values, empties, nesting.
INSERT INTO golden_jsonb SELECT v::jsonb FROM unnest(ARRAY[
  'null', 'true', 'false', '0', '-1', '1.10', '-0.0', '""', '"x"', '"a\"b\\c"', '1e400', '123456789012345678901234567890.5',
  '{}', '[]', '[[]]', '[{}]', '{"":{}}', '{"a":[]}', '[[],{},[[]],[{}],{"a":{}}]', '{"a":{"b":{"c":[[],[]]}},"d":{}}',
  '[null]', '[true,false,null]', '{"a":null,"b":true,"c":false}', '[[null],null,{"":null}]',
  '{"":""}', '{"":1,"a":2," ":3}', '{"bb":1,"a":2,"ccc":3,"é":4,"ab":5,"B":6}', '{"a":1,"a":2}',
  '[1,"a",1,"ab",1,"abc",1,"abcd",1,[1],"a",[1],"ab",[1],"abc",[1]]', '{"a":1,"ab":[1],"abc":{"a":1},"x":"y","yy":2.5}'
]) AS v;

-- Numbers.
INSERT INTO golden_jsonb SELECT v::jsonb FROM unnest(ARRAY[
  '[0,-0,0.0,-0.0,0.00,0e10,0e-10]', '[1,10,100,1000,10000,100000,1000000,9999,10001,99999999,100000000]',
  '[9007199254740991,9007199254740992,9007199254740993,18446744073709551615,18446744073709551616,-9223372036854775808]',
  '[1.10,1.1,1.100,0.1,0.01,0.001,0.0001,0.00001,0.00010,-0.0001,12345.6789,123.456789]',
  '[1e-30,1.5e-30,-1e-30,1e30,1.5e30,1E5,1e+5,1.50e1,1e0]', '[1e400,-1e400,1e-400]', '{"n":1e255,"m":1e256,"o":1e-255,"p":1e-256}',
  '[3.14159265358979323846264338327950288419716939937510582097494459230781640628620899]'
]) AS v;
INSERT INTO golden_jsonb SELECT ('{"n":' || repeat('1234567890', n) || ',"m":-0.' || repeat('9876543210', n) || '}')::jsonb
  FROM unnest(ARRAY[5, 50, 200]) AS n;

-- Escapes: every control character, alone and in words of eight; not ASCII; surrogate pairs.
INSERT INTO golden_jsonb SELECT jsonb_build_array(chr(c), 'abcdefg' || chr(c) || 'h', chr(c) || chr(c) || 'x')
  FROM generate_series(1, 34) AS c;
INSERT INTO golden_jsonb SELECT jsonb_build_object('k' || chr(c), chr(c)) FROM unnest(ARRAY[9, 10, 34, 47, 92, 127, 128, 160, 255, 8232, 65533, 65535, 65536, 128512]) AS c;
INSERT INTO golden_jsonb SELECT v::jsonb FROM unnest(ARRAY[
  '"\u0001\u001f\u0020\u007f\u0080\u00e9\u20ac"', '"\ud83d\ude00 \uD834\uDD1E"', '{"\ud83d\ude00":"\u4f60\u597d","ключ":"значение","\u0007":"\/"}',
  '"\b\f\n\r\t\"\\\/"', '"C:\\dir\\file"', '"</script>&''"', '"日本語テキスト、とても長い文字列です。"'
]) AS v;

-- More than 32 children: stored offsets. Deep nesting. Large strings.
INSERT INTO golden_jsonb SELECT jsonb_agg(i) FROM generate_series(1, 100) AS i;
INSERT INTO golden_jsonb SELECT jsonb_agg(repeat('x', i % 5)) FROM unnest(ARRAY[31, 32, 33, 63, 64, 65, 97]) AS n, generate_series(1, n) AS i GROUP BY n;
INSERT INTO golden_jsonb SELECT jsonb_object_agg('k' || i, CASE i % 4 WHEN 0 THEN to_jsonb(i) WHEN 1 THEN to_jsonb('v' || i) WHEN 2 THEN 'null' ELSE jsonb_build_array(i, '') END)
  FROM unnest(ARRAY[15, 16, 17, 31, 32, 33, 48, 64, 65, 100]) AS n, generate_series(1, n) AS i GROUP BY n;
INSERT INTO golden_jsonb SELECT (repeat('[', n) || repeat(']', n))::jsonb FROM unnest(ARRAY[2, 33, 200]) AS n;
INSERT INTO golden_jsonb SELECT (repeat('{"a":', 200) || '1' || repeat('}', 200))::jsonb;
INSERT INTO golden_jsonb SELECT (repeat('["x",{"key":', 100) || '1.5' || repeat('},2]', 100))::jsonb;
INSERT INTO golden_jsonb SELECT jsonb_build_object('big', repeat(s, n), 'after', 1) FROM unnest(ARRAY['a', '"', 'é', E'abc\n']) AS s, unnest(ARRAY[127, 1300]) AS n;

-- Whatever comes.
CREATE FUNCTION pg_temp.any_text() RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text := '';
BEGIN
  FOR i IN 1 .. floor(random() * random() * 30) LOOP
    result := result || CASE floor(random() * 12) WHEN 0 THEN chr(1 + floor(random() * 31)::int) WHEN 1 THEN '"' WHEN 2 THEN '\'
      WHEN 3 THEN chr(160 + floor(random() * 5000)::int) WHEN 4 THEN chr(128512 + floor(random() * 60)::int)
      ELSE chr(32 + floor(random() * 95)::int) END;
  END LOOP;
  RETURN result;
END $$;
CREATE FUNCTION pg_temp.any_json(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE kind int := floor(random() * CASE WHEN depth > 0 THEN 10 ELSE 6 END); result jsonb;
BEGIN
  CASE kind
    WHEN 0 THEN RETURN 'null';
    WHEN 1 THEN RETURN to_jsonb(random() < 0.5);
    WHEN 2 THEN RETURN to_jsonb(round(((random() - 0.5) * 10.0 ^ floor(random() * 20 - 8))::numeric, floor(random() * 12)::int));
    WHEN 3 THEN RETURN to_jsonb(floor(random() * 100000)::int);
    WHEN 4, 5 THEN RETURN to_jsonb(pg_temp.any_text());
    WHEN 6, 7 THEN
      result := '[]';
      FOR i IN 1 .. floor(random() * 6) LOOP result := result || jsonb_build_array(pg_temp.any_json(depth - 1)); END LOOP;
      RETURN result;
    ELSE
      result := '{}';
      FOR i IN 1 .. floor(random() * 6) LOOP result := result || jsonb_build_object(pg_temp.any_text(), pg_temp.any_json(depth - 1)); END LOOP;
      RETURN result;
  END CASE;
END $$;
INSERT INTO golden_jsonb SELECT jsonb_build_array(pg_temp.any_json(3), pg_temp.any_json(4 + 0 * i)) FROM generate_series(1, 200) AS i;
INSERT INTO golden_jsonb SELECT pg_temp.any_json(5 + 0 * i) FROM generate_series(1, 100) AS i;

SELECT payload, v::text FROM golden_jsonb JOIN pg_temp.stored('golden_jsonb') ON item = golden_jsonb.ctid ORDER BY item;
