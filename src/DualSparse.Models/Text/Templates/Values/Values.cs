using System.Numerics;

namespace DualSparse.Models.Text.Templates;

// Values of the template language are: null (None), bool, long and BigInteger (int), double (float), MarkedText (str) and the classes below.

/// <summary>A list; a tuple where <paramref name="IsTuple"/> says so. It is never changed.</summary>
internal sealed record ListValue(List<object?> Items, bool IsTuple = false);

/// <summary>A dictionary in the order of its keys' first entry.</summary>
internal sealed class DictValue
{
    /// <summary>The entries.</summary>
    public OrderedDictionary<object, object?> Entries { get; } = new(ValueEquality.Instance);

    /// <summary>The value of a key that is a string.</summary>
    public object? this[string key]
    {
        set => Entries[new MarkedText(key)] = value;
    }
}

/// <summary>Keys, values or pairs of a dictionary.</summary>
/// <param name="Kind">What Python calls it: dict_keys, dict_values, dict_items.</param>
/// <param name="Items">What it gives.</param>
internal sealed record DictView(string Kind, List<object?> Items);

/// <summary>A range of whole numbers.</summary>
internal sealed record RangeValue(long Start, long Stop, long Step)
{
    /// <summary>How many there are.</summary>
    public long Count => Step > 0 ? (Start < Stop ? (((Stop - Start) - 1) / Step) + 1 : 0) : Start > Stop ? (((Start - Stop) - 1) / -Step) + 1 : 0;
}

/// <summary>What can be gone through once, such as the filter <c>map</c> gives; it has no length and counts as true.</summary>
internal sealed class GeneratorValue(List<object?> items, string kind = "generator")
{
    private int next;

    /// <summary>What Python calls it.</summary>
    public string Kind => kind;

    /// <summary>What is left of it; nothing afterwards.</summary>
    public List<object?> TakeAll()
    {
        var rest = next == 0 ? items : items[next..];
        next = items.Count;
        return rest;
    }

    /// <summary>The next element.</summary>
    public bool TryTake(out object? item)
    {
        item = next < items.Count ? items[next] : null;
        return next < items.Count && next++ >= 0;
    }
}

/// <summary>A namespace: the one thing whose attributes a template may set.</summary>
internal sealed class NamespaceValue
{
    /// <summary>The attributes.</summary>
    public DictValue Attributes { get; } = new();
}

/// <summary>What isn't there: prints nothing, counts as false and empty, and is an error where anything else is done with it.</summary>
/// <param name="Reason">The error, in Python's words.</param>
internal sealed record UndefinedValue(string Reason)
{
    /// <summary>The error of using it.</summary>
    public TemplateError Error() => new(Reason);
}

/// <summary>Something that can be called.</summary>
internal sealed class FunctionValue(string name, Func<TemplateRun, Arguments, object?> body)
{
    /// <summary>What errors call it.</summary>
    public string Name => name;

    /// <summary>Attributes, such as those of a loop or a cycler.</summary>
    public Func<string, object?>? Attribute { get; init; }

    /// <summary>What it prints as.</summary>
    public string Text { get; init; } = $"<function {name}>";

    /// <summary>Calls it.</summary>
    public object? Call(TemplateRun run, Arguments arguments) => body(run, arguments);
}

/// <summary>When two values are the same key: as Python has it, 1, 1.0 and True are.</summary>
internal sealed class ValueEquality : IEqualityComparer<object>
{
    /// <summary>The only one.</summary>
    public static readonly ValueEquality Instance = new();

    // A tuple in a tuple in a tuple, each twice, has as many values as it likes.
    private const int MostInKey = 100;

    /// <inheritdoc/>
    public new bool Equals(object? x, object? y) => (x, y) switch
    {
        (MarkedText a, MarkedText b) => a.Equals(b),
        (NoneKey, NoneKey) or (UndefinedValue, UndefinedValue) => true,
        (ListValue a, ListValue b) => a.Items.SequenceEqual(b.Items, Instance!),
        _ when Numbers.Is(x) && Numbers.Is(y) => Numbers.Compare(x!, y!) == 0,
        _ => ReferenceEquals(x, y),
    };

    /// <inheritdoc/>
    public int GetHashCode(object obj) => obj switch
    {
        MarkedText text => text.GetHashCode(),
        UndefinedValue => 1,
        // Combined with a number that differs from process to process: nobody can choose keys that collide.
        bool flag => HashCode.Combine(flag ? 1L : 0L),
        long number => HashCode.Combine(number),
        BigInteger big => HashCode.Combine((double)big),
        double real => real == Math.Floor(real) && Math.Abs(real) < 1e18 ? HashCode.Combine((long)real) : HashCode.Combine(real),
        ListValue list => list.Items.Aggregate(17, (hash, item) => HashCode.Combine(hash, item is null ? 0 : GetHashCode(item))),
        _ => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(obj),
    };

    /// <summary>A value as a key.</summary>
    /// <exception cref="TemplateError">It can't be one.</exception>
    public static object Key(object? value)
    {
        int left = MostInKey;
        return Key(value, ref left);
    }

    private static object Key(object? value, ref int left)
    {
        if (--left < 0)
            throw new TemplateError($"a key holds more than {MostInKey} values");
        if (value is ListValue { IsTuple: true } tuple)
        {
            List<object?> items = new(Math.Min(tuple.Items.Count, MostInKey));
            foreach (object? item in tuple.Items)
                items.Add(item is null ? null : Key(item, ref left));
            return new ListValue(items, IsTuple: true);
        }

        return value is ListValue or DictValue ? throw new TemplateError($"unhashable type: '{TypeNames.Of(value)}'") : value ?? NoneKey.Instance;
    }

    /// <summary>A key as a value.</summary>
    public static object? Value(object key) => key is NoneKey ? null : key;
}

/// <summary>None as a key.</summary>
internal sealed class NoneKey
{
    /// <summary>The only one.</summary>
    public static readonly NoneKey Instance = new();

    private NoneKey()
    {
    }
}
