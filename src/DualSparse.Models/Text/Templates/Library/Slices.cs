namespace DualSparse.Models.Text.Templates;

/// <summary><c>value[start:stop:step]</c> of strings, lists and ranges.</summary>
internal static class Slices
{
    /// <summary>Takes it.</summary>
    public static object Take(TemplateRun run, object? value, object? start, object? stop, object? step)
    {
        if (value is UndefinedValue undefined)
            throw undefined.Error();
        if (value is not (MarkedText or ListValue or RangeValue))
            throw new TemplateError(value is DictValue ? "unhashable type: 'slice'" : $"'{TypeNames.Of(value)}' object is not subscriptable");
        long stride = step is null ? 1 : Index(step);
        if (stride == 0)
            throw new TemplateError("slice step cannot be zero");
        long count = value is RangeValue r ? r.Count : Operators.Length(value);
        long first = Place(start, stride > 0 ? 0 : count - 1, count, stride), end = Place(stop, stride > 0 ? count : -1, count, stride);
        if (value is MarkedText text && stride == 1)
        {
            if (first >= end)
                return MarkedText.Empty;
            run.Allowance.Take(end - first);
            return text.Slice(text.Offset((int)first), text.Offset((int)end));
        }

        var numbers = new RangeValue(first, end, stride);
        run.Allowance.TakeElements(numbers.Count);
        var places = Enumerable.Range(0, (int)numbers.Count).Select(i => first + (i * stride));
        switch (value)
        {
            case MarkedText characters:
                var all = Operators.Iterate(run, characters);
                var builder = run.Builder();
                foreach (long place in places)
                    builder.Append((MarkedText)all[(int)place]!);
                return builder.Build();
            case ListValue list:
                return new ListValue([.. places.Select(place => list.Items[(int)place])], list.IsTuple);
            default:
                var range = (RangeValue)value;
                return new RangeValue(range.Start + (first * range.Step), range.Start + (end * range.Step), range.Step * stride);
        }
    }

    private static long Index(object value) =>
        Numbers.IsWhole(value) ? Numbers.Count(value) : throw new TemplateError("slice indices must be integers or None or have an __index__ method");

    private static long Place(object? given, long otherwise, long count, long stride)
    {
        if (given is null)
            return otherwise;
        long place = Index(given);
        place = place < 0 ? place + count : place;
        return stride > 0 ? Math.Clamp(place, 0, count) : Math.Clamp(place, -1, count - 1);
    }
}
