namespace DualSparse.Models.Text.Templates;

/// <summary>What one rendering has: its allowance, its clock, and where it stands.</summary>
/// <param name="allowance">What it may use.</param>
/// <param name="now">What <c>strftime_now</c> gives.</param>
internal sealed class TemplateRun(Allowance allowance, DateTime now)
{
    /// <summary>What it may use.</summary>
    public Allowance Allowance => allowance;

    /// <summary>The time.</summary>
    public DateTime Now => now;

    /// <summary>Whether the time was asked for.</summary>
    public bool AskedTime { get; set; }

    /// <summary>The offset in the source of what is evaluated.</summary>
    public int Position { get; set; }

    /// <summary>A builder of strings under the allowance.</summary>
    public MarkedTextBuilder Builder() => new(allowance);

    /// <summary>A list under the allowance.</summary>
    public ListValue List(IEnumerable<object?> items, bool isTuple = false)
    {
        List<object?> list = [.. items];
        allowance.TakeElements(list.Count);
        return new(list, isTuple);
    }
}
