using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Engine.Ranks;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Memory;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.Models;

namespace DualSparse.Benchmarking.ExpertParallel;

/// <summary>One process's part of the layers, with random weights, and their steps after the router in the order of <see cref="LayerProgram"/>.</summary>
internal sealed unsafe class LayerRunner : IDisposable
{
    private readonly EpSetting setting;
    private readonly int ranks;
    private readonly WatchedExchange exchange;
    private readonly ThreadTeam team;
    private readonly Workspace work;
    private readonly Pass pass;
    private readonly MoeLayer[] layers;
    private readonly Dictionary<EpVariant, MoeLayer[]> varied = [];
    private readonly ExpertPlacement[] placements;
    private readonly AlignedBuffer input, output;
    private RoutingPlan[] plans = [];
    private TextDrop? text;
    private int marked;

    /// <summary>Makes the weights.</summary>
    /// <param name="setting">Shape, placement.</param>
    /// <param name="ranks">Ranks.</param>
    /// <param name="rank">Which of them this process is; null: it is one process with whole experts.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="peers">How it meets the others; null: there are none.</param>
    /// <param name="mostRows">The most rows of a layer.</param>
    public LayerRunner(EpSetting setting, int ranks, int? rank, int threads, RankPeers? peers, int mostRows)
    {
        (this.setting, this.ranks) = (setting, ranks);
        var shape = setting.Shape;
        team = new ThreadTeam(threads);
        work = new Workspace(team, KernelSet.Best());
        pass = new Pass(setting.Layers, shape.Hidden, epsilon: 1e-5f, work, peers?.Collective);
        exchange = new WatchedExchange(peers?.Exchange ?? LocalExchange.Of(rank), Clock);
        placements = [.. Enumerable.Range(0, setting.Layers).Select(l => rank is null ? ExpertPlacement.SingleRank(shape.Experts) : setting.Placement(ranks, l))];
        var trunk = rank is { } part && setting.IsSlice(ranks) ? new TrunkCut(ranks, part) : TrunkCut.Whole;
        layers = [.. placements.Select((placement, l) => Layer(placement, l, rank ?? 0, trunk))];
        nuint bytes = (nuint)mostRows * (nuint)shape.Hidden * sizeof(float);
        (input, output) = (new AlignedBuffer(bytes), new AlignedBuffer(bytes));
        var random = new Random(7);
        foreach (ref float x in input.AsSpan<float>())
            x = random.NextSingle() * 2 - 1;
    }

    /// <summary>What the process does when.</summary>
    public LaneClock Clock { get; } = new();

    /// <summary>What telling other ranks loads took in the last layer that was balanced.</summary>
    public double LoadSeconds => exchange.LoadSeconds;

    /// <summary>Each layer's routed experts here.</summary>
    public PackedExperts[] Experts => [.. layers.Select(layer => layer.Experts)];

    /// <summary>Takes rows.</summary>
    /// <param name="routed">[layers] their routing.</param>
    public void Use(RoutingPlan[] routed) => plans = routed;

    /// <summary>What pairs are dropped by from now on, and which rows are marked.</summary>
    /// <param name="thresholds">Of ŝ, the same in all layers.</param>
    /// <param name="rows">Marked rows, from the first on.</param>
    public void Use(DropThresholds thresholds, int rows)
    {
        var request = new DropRequest { Thresholds = thresholds };
        var rules = Enumerable.Range(0, setting.Layers).Select(l => LayerRule.Of(request, l, setting.Shape.Experts)).ToArray();
        (text, marked) = (new TextDrop(new DropPlan(request, rules, rules, null, null, null), setting.Layers), rows);
    }

    /// <summary>Runs a layer: dispatch, experts, shared experts, combine.</summary>
    /// <param name="layer">Which.</param>
    /// <param name="begin">Called once all is ready.</param>
    /// <param name="dispatched">Called between dispatch and experts.</param>
    /// <param name="variant">How loads are balanced; null: they aren't, and nothing is dropped.</param>
    public void Run(int layer, Action? begin = null, Action? dispatched = null, EpVariant? variant = null)
    {
        var moe = variant is null || variant == EpVariant.None ? layers[layer] : Varied(variant)[layer];
        var ticket = Open(layer, variant);
        begin?.Invoke();
        Clock.Start(LaneStep.Dispatch);
        Step(OperatorKind.BeginExperts, layer);
        moe.Dispatch(pass, layer, ticket, Input);
        dispatched?.Invoke();
        Step(OperatorKind.Experts, layer);
        moe.Compute(pass, layer);
        if (setting.Shape.SharedNeurons > 0)
        {
            Clock.Switch(LaneStep.Shared);
            Step(OperatorKind.Shared, layer);
            moe.Shared(pass, Input, (float*)output.Pointer);
        }

        Clock.Switch(LaneStep.Combine);
        Step(OperatorKind.EndExperts, layer);
        moe.End(pass, layer, (float*)output.Pointer);
        Clock.Stop();
    }

    /// <summary>The same messages without anything computed between them.</summary>
    /// <param name="layer">Which.</param>
    /// <param name="begin">Called once all is ready.</param>
    public void Exchange(int layer, Action? begin = null)
    {
        var moe = layers[layer];
        var ticket = Open(layer);
        int hidden = setting.Shape.Hidden;
        begin?.Invoke();
        Clock.Start(LaneStep.Dispatch);
        Step(OperatorKind.BeginExperts, layer);
        exchange.BeginDispatch(pass, layer, ticket, moe.Experts, placements[layer], Input);
        Step(OperatorKind.Experts, layer);
        foreach (var share in exchange.Receive(pass, layer, ticket, moe.Experts))
            share.Sums.Floats((nint)share.Count * hidden);
        if (setting.Shape.SharedNeurons > 0 && setting.IsSlice(placements[layer].Ranks))
        {
            Step(OperatorKind.Shared, layer);
            pass.Collective.AllReduce(pass, [(nint)pass.Memory.MlpOutput.Floats((nint)pass.Rows * hidden)], pass.Rows, hidden, (float*)output.Pointer);
        }

        Clock.Switch(LaneStep.Combine);
        Step(OperatorKind.EndExperts, layer);
        exchange.EndCombine(pass, layer, ticket, hidden, (float*)output.Pointer);
        pass.Tickets.Close(layer);
        Clock.Stop();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Array.ForEach(layers, layer => layer.Dispose());
        foreach (var layer in varied.Values.SelectMany(of => of))
            layer.Dispose();
        pass.Dispose();
        work.Dispose();
        team.Dispose();
        input.Dispose();
        output.Dispose();
    }

    private MoeLayer Layer(ExpertPlacement placement, int index, int rank, TrunkCut trunk)
    {
        var shape = setting.Shape;
        var config = new MoeConfig { Experts = shape.Experts, TopK = shape.TopK, Intermediate = shape.Neurons, NormTopK = true };
        var experts = RandomExperts.Make(setting.Weights, placement.PartsOf(rank).Length, shape.Hidden, shape.Neurons / placement.Parts, index);
        bool cut = trunk.CutsNeurons(shape.SharedNeurons);
        var shared = shape.SharedNeurons == 0 ? null : new DenseMlp(
            [RandomExperts.Make(setting.Weights, 1, shape.Hidden, TrunkCut.Neurons(trunk.Mlp(shape.SharedNeurons)[0], shape.SharedNeurons).Count, 100 + index)], cut);
        return new MoeLayer(new Router(config, RandomExperts.Linear(shape.Experts, shape.Hidden)), experts, shared, placement: placement, exchange: exchange);
    }

    // The same experts, whose loads are balanced; or as many, which stand for others.
    private MoeLayer[] Varied(EpVariant variant)
    {
        if (varied.TryGetValue(variant, out var known))
            return known;
        var shape = setting.Shape;
        var config = new MoeConfig { Experts = shape.Experts, TopK = shape.TopK, Intermediate = shape.Neurons, NormTopK = true };
        return varied[variant] = [.. layers.Select((layer, l) => new MoeLayer(
            new Router(config, RandomExperts.Linear(shape.Experts, shape.Hidden)), Measured(layer.Experts), layer.SharedExperts, placement: variant == EpVariant.Replaced ? setting.Replaced(ranks, l) : placements[l], exchange: exchange, balance: variant.Balance))];
    }

    private PackedExperts Measured(PackedExperts experts)
    {
        experts.MeasureOutputs(team);
        return experts;
    }

    private ExpertTicket Open(int layer, EpVariant? variant = null)
    {
        // No attention is computed, so there is no cache.
        pass.Begin([new Segment(null!, 0, plans[layer].Tokens, Drop: variant is { Drops: true } ? text : null, Marked: ..marked)], watch: null);
        output.AsSpan<float>().Clear();
        var ticket = pass.Tickets.Open(layer);
        ticket.Routing.CopyFrom(plans[layer]);
        return ticket;
    }

    private float* Input => (float*)input.Pointer;

    // What a rank that waits for a lost one says that it waits for.
    private void Step(OperatorKind kind, int layer) => pass.Running = new Operator(kind, layer);
}
