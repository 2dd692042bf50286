"""Prints tests/unit/text/python_string_table.h: what Python's str and float answer."""
def c(s):  # a C string literal
    out='"'
    for b in s.encode('utf-8'):
        ch=chr(b)
        if ch in '"\\': out+='\\'+ch
        elif 32<=b<127: out+=ch
        else: out+='\\%03o'%b
    return out+'"'
print("#pragma once\n// What CPython 3.11.7 answers, printed by scripts/golden/python_strings.py.\n")
words=["","a","hello world","HELLO","ß","straße","ŉ","ǰ","İstanbul","ıI","ΣΑΣ","ΑΣ","Σ","aΣ b","ΑΣ.Β","ΑΣ. Β","Α\u0301Σ\u0301","ﬁne ﬂow ﬀ","ǆ Ǆ ǅ","ᾳ ᾼ ὒ","they're bill's","x1y o'neil-smith","ⓐⓑ Ⅳ ⅳ","ªº","éÉ","日本語 text","Ⴀⴀ","ა","ꭰᏸ","𐐀𐐨","ﬓ","ͅa","1abc a1b","end.of'line ς","ñandú ÑANDÚ", "ʰa", "ΐ ΰ և"]
print("struct CaseRow {\n    const char *text, *lower, *upper, *title, *capitalized;\n};\n\nconstexpr CaseRow kCases[] = {")
for w in words: print("    {%s},"%", ".join(c(x) for x in (w,w.lower(),w.upper(),w.title(),w.capitalize())))
print("};\n")
print("struct ReprRow {\n    const char *text, *repr;\n};\n\nconstexpr ReprRow kStringReprs[] = {")
for w in ["","a","it's",'say "hi"','both \' and "',"tab\tnl\ncr\r","\x01\x1f\x7f","\x80\x85\xa0\xad","é日本","\u200b\u2028\ufeff","\U0001f600","\ue000","\U000e0001","back\\slash","\u3000 \u00a0"]: print("    {%s, %s},"%(c(w),c(repr(w))))
print("};\n")
fl=["0.0","-0.0","1.0","0.1","1e15","1e16","123456789012345680.0","1e17","9999999999999998.0","1e-4","0.0001234","1e-5","1.5e-7","3.141592653589793","5e-324","1.7976931348623157e308","2.5","100.0","1e22","1e23","-2.5e-10","0.30000000000000004"]
print("struct RealRow {\n    double value;\n    const char* repr;\n};\n\nconstexpr RealRow kRealReprs[] = {")
for f in fl: print("    {%s, %s},"%(f,c(repr(float(f)))))
print("};")
