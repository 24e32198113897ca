using DualSparse.Kernels.Packing;

namespace DualSparse.Engine.Moe.Balance;

/// <summary>
/// Balances a layer's loads between ranks, before its rows are sent: ranks tell each other what their rows ask for, and each decides the same. What a
/// row gets then depends on the others of its batch; of the same batch it is the same whether ranks are processes or one process is all of them.
/// </summary>
/// <param name="setting">How.</param>
/// <param name="placement">Which rank has which part.</param>
/// <param name="experts">The parts that this process has.</param>
/// <param name="topK">k.</param>
internal sealed class LayerBalance(BalanceSetting setting, ExpertPlacement placement, PackedExperts experts, int topK)
{
    private readonly double weightBytes = WeightFormats.Of(experts.Format).WeightBytes;

    /// <summary>How.</summary>
    public BalanceSetting Setting => setting;

    /// <summary>Makes ready for the decision on a layer's pairs, by <see cref="Drop.DropPolicy"/>.</summary>
    public void Begin(ExpertTicket ticket) => ticket.Levels.Reset(ticket.Routing.Experts.Length, new LoadTable(placement).Levels);

    /// <summary>Decides again, knowing all ranks' loads, and which ranks switch.</summary>
    /// <param name="pass">Marks; receives the figures.</param>
    /// <param name="ticket">Routed and decided by T_max, with its levels.</param>
    /// <param name="exchange">How ranks tell each other.</param>
    public void Decide(Pass pass, ExpertTicket ticket, IExchange exchange)
    {
        var loads = new LoadTable(placement);
        loads.Add(ticket.Routing, ticket.Levels, experts.Neurons.Major, experts.Neurons.Neurons - experts.Neurons.Major, pass.Marks);
        exchange.ShareLoads(pass, ticket, loads);
        var times = new LoadTimes(loads, placement, experts.Neurons, experts.Hidden, weightBytes, setting.Rates, setting.Low);
        bool[] low = setting.Switches ? PrecisionRule.Choose(times, setting, setting.Knee ?? setting.Rates.Knee(weightBytes, placement.Experts, topK)) : [];
        int[] levels = ThresholdRule.Levels(times, low, setting.Drops ? setting.Rule : BalanceRule.All);
        if (setting.Drops)
            Apply(ticket, placement, levels);
        ticket.Switch(placement, setting.Low, low, part => loads.Reads(part, levels[placement.RankOf[part]]).Major, setting.KeepsConverted);
        pass.Balance.Add(times, levels, low);
    }

    /// <summary>Decides pairs by their ranks' levels. Of an expert in parts on several ranks the highest counts: none is loaded with more than it chose.</summary>
    internal static void Apply(ExpertTicket ticket, ExpertPlacement placement, ReadOnlySpan<int> levels)
    {
        var plan = ticket.Routing;
        var rankOf = placement.RankOf;
        for (int i = 0; i < plan.Experts.Length; i++)
        {
            int level = 0;
            for (int part = plan.Experts[i] * placement.Parts; part < (plan.Experts[i] + 1) * placement.Parts; part++)
                level = Math.Max(level, levels[rankOf[part]]);
            plan.Computations[i] = ticket.Levels.At(i, level);
        }
    }
}
