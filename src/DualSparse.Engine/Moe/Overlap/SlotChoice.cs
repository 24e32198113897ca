namespace DualSparse.Engine.Moe.Overlap;

/// <summary>Where routed experts may compute in a group of layers, and where it takes least. Pure: ranks that know the same times choose the same.</summary>
internal static class SlotChoice
{
    /// <summary>All orders of a group's operators in which only routed experts have moved, between their beginning and their end; the given one first.</summary>
    public static IReadOnlyList<Operator[]> Orders(Operator[] operators)
    {
        List<Operator[]> orders = [[.. operators.Where(step => step.Kind != OperatorKind.Experts)]];
        foreach (var experts in operators.Where(step => step.Kind == OperatorKind.Experts))
            orders = [.. orders.SelectMany(order => Inserted(order, experts))];
        return [operators, .. orders.Where(order => !order.SequenceEqual(operators))];
    }

    /// <summary>The order of least predicted makespan; of equal ones the first.</summary>
    public static Operator[] Best(IReadOnlyList<Operator[]> orders, GroupTimes times) => orders.MinBy(order => times.Makespan(order))!;

    private static IEnumerable<Operator[]> Inserted(Operator[] order, Operator experts)
    {
        int begin = Array.FindIndex(order, step => Is(step, OperatorKind.BeginExperts)), end = Array.FindIndex(order, step => Is(step, OperatorKind.EndExperts));
        for (int place = begin + 1; place <= end; place++)
            yield return [.. order[..place], experts, .. order[place..]];

        bool Is(Operator step, OperatorKind kind) => step.Kind == kind && step.Layer == experts.Layer && step.Branch == experts.Branch;
    }
}
