using DualSparse.Engine.Moe;

namespace DualSparse.Engine;

/// <summary>Who looks on while rows go through the layers: called on the pass's thread. What is thrown ends the pass, of which then nothing counts.</summary>
internal sealed record PassWatch
{
    /// <summary>Told each layer's routing, decided; valid during the call.</summary>
    public Action<int, RoutingPlan>? Routed { get; init; }

    /// <summary>Asked at each layer with routed experts who sees the neurons of every row that they compute, in whole or in half; null: nobody.</summary>
    public Func<int, RoutingPlan, NeuronObserver?>? Neurons { get; init; }
}
