using DualSparse.Engine;
using DualSparse.Engine.Moe;

namespace DualSparse.Tests.Engine.Moe;

/// <summary>Keeps each layer's routing of the last pass that it watched.</summary>
internal sealed class Routings
{
    private readonly SortedDictionary<int, RoutingPlan> layers = [];

    public Routings() => Watch = new PassWatch
    {
        Routed = (layer, routing) =>
        {
            var copy = new RoutingPlan();
            copy.CopyFrom(routing);
            layers[layer] = copy;
        },
    };

    public PassWatch Watch { get; }

    public IReadOnlyDictionary<int, RoutingPlan> Layers => layers;
}
