using System.Globalization;
using System.Text;

namespace DualSparse.Models.Text.Templates;

/// <summary>Python's string methods. Each character of a result keeps its origin.</summary>
internal static class StringMethods
{
    private static readonly Dictionary<string, Func<TemplateRun, MarkedText, Arguments, object?>> s_methods = new(StringComparer.Ordinal)
    {
        ["strip"] = (run, text, arguments) => Strip(run, text, arguments, left: true, right: true),
        ["lstrip"] = (run, text, arguments) => Strip(run, text, arguments, left: true, right: false),
        ["rstrip"] = (run, text, arguments) => Strip(run, text, arguments, left: false, right: true),
        ["split"] = (run, text, arguments) => StringSplits.Split(run, text, arguments, fromRight: false),
        ["rsplit"] = (run, text, arguments) => StringSplits.Split(run, text, arguments, fromRight: true),
        ["splitlines"] = StringSplits.Lines,
        ["partition"] = (run, text, arguments) => StringSplits.Partition(run, text, arguments, fromRight: false),
        ["rpartition"] = (run, text, arguments) => StringSplits.Partition(run, text, arguments, fromRight: true),
        ["replace"] = (run, text, arguments) => Replace(run, text, arguments.Text("old"), arguments.Text("new"), arguments.Whole("count", -1)),
        ["startswith"] = (run, text, arguments) => Affix(run, text, arguments, (part, affix) => part.StartsWith(affix, StringComparison.Ordinal)),
        ["endswith"] = (run, text, arguments) => Affix(run, text, arguments, (part, affix) => part.EndsWith(affix, StringComparison.Ordinal)),
        ["removeprefix"] = (run, text, arguments) => arguments.Text("prefix").Value is var affix && text.Value.StartsWith(affix, StringComparison.Ordinal) ? Part(run, text, affix.Length, text.Value.Length) : text,
        ["removesuffix"] = (run, text, arguments) => arguments.Text("suffix").Value is { Length: > 0 } affix && text.Value.EndsWith(affix, StringComparison.Ordinal) ? Part(run, text, 0, text.Value.Length - affix.Length) : text,
        ["find"] = (run, text, arguments) => Find(run, text, arguments, last: false),
        ["rfind"] = (run, text, arguments) => Find(run, text, arguments, last: true),
        ["index"] = (run, text, arguments) => Find(run, text, arguments, last: false) is var place and >= 0 ? place : throw new TemplateError("substring not found"),
        ["rindex"] = (run, text, arguments) => Find(run, text, arguments, last: true) is var place and >= 0 ? place : throw new TemplateError("substring not found"),
        ["count"] = Count,
        ["join"] = (run, text, arguments) => Join(run, text, Operators.Iterate(run, arguments.Take("iterable"))),
        ["upper"] = (run, text, _) => Map(run, text, PythonText.Upper),
        ["lower"] = (run, text, _) => Map(run, text, PythonText.Lower),
        ["casefold"] = (run, text, _) => Map(run, text, t => PythonText.Lower(t).Replace("ß", "ss", StringComparison.Ordinal)),
        ["swapcase"] = (run, text, _) => Map(run, text, PythonText.SwapCase),
        ["title"] = (run, text, _) => MapWhole(run, text, PythonText.Title),
        ["capitalize"] = (run, text, _) => MapWhole(run, text, PythonText.Capitalize),
        ["ljust"] = (run, text, arguments) => Pad(run, text, arguments.Whole("width"), arguments.Text("fillchar", " "), _ => 0),
        ["rjust"] = (run, text, arguments) => Pad(run, text, arguments.Whole("width"), arguments.Text("fillchar", " "), pad => pad),
        ["center"] = (run, text, arguments) => arguments.Whole("width") is var width ? Pad(run, text, width, arguments.Text("fillchar", " "), pad => (pad / 2) + (pad & width & 1)) : null,
        ["zfill"] = ZeroFill,
        ["expandtabs"] = ExpandTabs,
        ["format"] = (run, text, arguments) => BraceFormat.Apply(run, text, arguments),
        ["isspace"] = (run, text, _) => text.Value.Length > 0 && text.Value.All(PythonText.IsSpace),
        ["isdigit"] = (run, text, _) => PythonText.All(text.Value, rune => Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber || CharUnicodeInfo.GetDigitValue(rune.ToString(), 0) >= 0),
        ["isdecimal"] = (run, text, _) => PythonText.All(text.Value, rune => Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber),
        ["isnumeric"] = (run, text, _) => PythonText.All(text.Value, Rune.IsNumber),
        ["isalpha"] = (run, text, _) => PythonText.All(text.Value, Rune.IsLetter),
        ["isalnum"] = (run, text, _) => PythonText.All(text.Value, rune => Rune.IsLetter(rune) || Rune.IsNumber(rune)),
        ["isascii"] = (run, text, _) => Ascii.IsValid(text.Value),
        ["isupper"] = (run, text, _) => PythonText.AllCased(text.Value, Rune.IsUpper),
        ["islower"] = (run, text, _) => PythonText.AllCased(text.Value, Rune.IsLower),
        ["istitle"] = (run, text, _) => PythonText.Title(text.Value) == text.Value && text.Value.EnumerateRunes().Any(PythonText.IsCased),
        ["isprintable"] = (run, text, _) => text.Value.EnumerateRunes().All(PythonText.IsPrintable),
        ["isidentifier"] = (run, text, _) => PythonText.All(text.Value, rune => rune.Value == '_' || Rune.IsLetterOrDigit(rune)) && !char.IsDigit(text.Value[0]),
    };

    /// <summary>A method; null where there is none of this name.</summary>
    public static Func<TemplateRun, MarkedText, Arguments, object?>? Find(string name)
    {
        if (!s_methods.TryGetValue(name, out var method))
            return null;
        return (run, text, arguments) =>
        {
            run.Allowance.Pass(text.Value.Length);
            object? result = method(run, text, arguments);
            if (name != "format")
                arguments.End();
            return result;
        };
    }

    /// <summary>A part of a string, counted.</summary>
    public static MarkedText Part(TemplateRun run, MarkedText text, int start, int end)
    {
        run.Allowance.Take(Math.Max(0, end - start));
        return text.Slice(start, end);
    }

    /// <summary>A string without white space (null) or without these characters at its ends.</summary>
    public static MarkedText Strip(TemplateRun run, MarkedText text, string? characters, bool left = true, bool right = true)
    {
        var runes = characters?.EnumerateRunes().ToHashSet();
        int start = 0, end = text.Value.Length;
        while (left && start < end && Goes(Rune.DecodeFromUtf16(text.Value.AsSpan(start, end - start), out var rune, out int width), rune, text.Value[start]))
            start += width;
        while (right && start < end && Goes(Rune.DecodeLastFromUtf16(text.Value.AsSpan(start, end - start), out var rune, out int width), rune, text.Value[end - 1]))
            end -= width;
        return Part(run, text, start, end);

        bool Goes(object _, Rune rune, char c) => runes is null ? PythonText.IsSpace(c) : runes.Contains(rune);
    }

    /// <summary>A string with parts of it replaced; all of them where <paramref name="count"/> is negative.</summary>
    public static MarkedText Replace(TemplateRun run, MarkedText text, MarkedText old, MarkedText by, long count)
    {
        var builder = run.Builder();
        int done = 0, from = 0;
        while (count != 0)
        {
            int found = old.Value.Length == 0 ? (from <= text.Value.Length ? from : -1) : TextSearch.Find(run, text.Value, old.Value, from);
            if (found < 0)
                break;
            builder.Append(text, done, found).Append(by);
            run.Allowance.Step();
            done = found + old.Value.Length;
            from = old.Value.Length > 0 ? done : found < text.Value.Length ? found + text.Width(found) : found + 1;
            count--;
        }

        return done == 0 && builder.Length == 0 ? text : builder.Append(text, done, text.Value.Length).Build();
    }

    /// <summary>Strings joined.</summary>
    public static MarkedText Join(TemplateRun run, MarkedText between, List<object?> items)
    {
        var builder = run.Builder();
        for (int i = 0; i < items.Count; i++)
        {
            run.Allowance.Step();
            if (i > 0)
                builder.Append(between);
            builder.Append(items[i] as MarkedText ?? throw new TemplateError($"sequence item {i}: expected str instance, {TypeNames.Of(items[i])} found"));
        }

        return builder.Build();
    }

    /// <summary>A string whose runs are each changed by themselves.</summary>
    public static MarkedText Map(TemplateRun run, MarkedText text, Func<string, string> change)
    {
        var builder = run.Builder();
        int begin = 0;
        foreach (var part in text.Runs)
        {
            builder.Append(change(text.Value[begin..part.End]), part.Origin);
            begin = part.End;
        }

        return builder.Build();
    }

    /// <summary>A string that is changed as a whole; where it then has another length and several origins, the whole counts as the caller's.</summary>
    public static MarkedText MapWhole(TemplateRun run, MarkedText text, Func<string, string> change)
    {
        string changed = change(text.Value);
        run.Allowance.Take(changed.Length);
        if (changed.Length == text.Value.Length)
            return new(changed, text.Runs.ToArray());
        return new(changed, text.Runs.Length == 1 ? text.Runs[0].Origin : TextOrigin.Caller);
    }

    /// <summary>A string with a character before and after it.</summary>
    public static MarkedText Pad(TemplateRun run, MarkedText text, long width, MarkedText fill, Func<long, long> before)
    {
        if (fill.Value.Length != 1)
            throw new TemplateError("the fill character must be exactly one character long");
        long pad = Math.Max(0, width - text.Count), left = before(pad);
        return pad == 0 ? text : run.Builder().Append(fill.Value[0], left).Append(text).Append(fill.Value[0], pad - left).Build();
    }

    private static MarkedText Strip(TemplateRun run, MarkedText text, Arguments arguments, bool left, bool right) =>
        Strip(run, text, arguments.Take("chars", null) is { } characters ? (characters as MarkedText ?? throw new TemplateError("strip arg must be None or str")).Value : null, left, right);

    private static object Affix(TemplateRun run, MarkedText text, Arguments arguments, Func<string, string, bool> has)
    {
        object? affix = arguments.Take("affix");
        if (affix is not (MarkedText or ListValue { IsTuple: true }))
            throw affix is UndefinedValue undefined ? undefined.Error() : new TemplateError($"the first argument must be str or a tuple of str, not {TypeNames.Of(affix)}");
        string part = Section(run, text, arguments).Text;
        return affix is ListValue several
            ? several.Items.Any(item => has(part, (item as MarkedText ?? throw new TemplateError($"a tuple of affixes may only have str, not {TypeNames.Of(item)}")).Value))
            : has(part, ((MarkedText)affix).Value);
    }

    private static (string Text, int Start) Section(TemplateRun run, MarkedText text, Arguments arguments)
    {
        object? start = arguments.Take("start", null), end = arguments.Take("end", null);
        if (start is null && end is null)
            return (text.Value, 0);
        long count = text.Count, from = start is null ? 0 : Numbers.Count(start), to = end is null ? count : Numbers.Count(end);
        from = from < 0 ? Math.Max(0, from + count) : Math.Min(from, count);
        to = Math.Clamp(to < 0 ? to + count : to, 0, count);
        int offset = text.Offset((int)from);
        run.Allowance.Take(Math.Max(0, to - from));
        return (from < to ? text.Value[offset..text.Offset((int)to)] : "", offset);
    }

    private static long Find(TemplateRun run, MarkedText text, Arguments arguments, bool last)
    {
        string part = arguments.Text("sub").Value;
        var (section, start) = Section(run, text, arguments);
        int found = last ? TextSearch.FindLast(run, section, part, section.Length) : TextSearch.Find(run, section, part);
        return found < 0 ? -1 : text.CodePoint(start + found);
    }

    private static object Count(TemplateRun run, MarkedText text, Arguments arguments)
    {
        string part = arguments.Text("sub").Value;
        var (section, _) = Section(run, text, arguments);
        if (part.Length == 0)
            return new MarkedText(section).Count + 1L;
        long count = 0;
        for (int at = 0; (at = TextSearch.Find(run, section, part, at)) >= 0; at += part.Length)
            count++;
        return count;
    }

    private static object ZeroFill(TemplateRun run, MarkedText text, Arguments arguments)
    {
        long pad = arguments.Whole("width") - text.Count;
        int sign = text.Value.Length > 0 && text.Value[0] is '+' or '-' ? 1 : 0;
        return pad <= 0 ? text : run.Builder().Append(text, 0, sign).Append('0', pad).Append(text, sign, text.Value.Length).Build();
    }

    private static object ExpandTabs(TemplateRun run, MarkedText text, Arguments arguments)
    {
        long size = arguments.Whole("tabsize", 8), column = 0;
        var builder = run.Builder();
        for (int i = 0, width; i < text.Value.Length; i += width)
        {
            width = text.Width(i);
            if (text.Value[i] == '\t')
            {
                long blanks = size > 0 ? size - (column % size) : 0;
                builder.Append(' ', blanks);
                column += blanks;
                continue;
            }

            builder.Append(text, i, i + width);
            column = text.Value[i] is '\n' or '\r' ? 0 : column + 1;
        }

        return builder.Build();
    }
}
