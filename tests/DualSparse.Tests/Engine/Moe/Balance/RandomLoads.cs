using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Moe.Balance;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels.Packing;

namespace DualSparse.Tests.Engine.Moe.Balance;

/// <summary>A random layer over ranks: each one's rows, routed and decided by thresholds of their own, and machines bound by memory, by arithmetic, or by neither.</summary>
internal sealed class RandomLoads
{
    private const int Hidden = 64;

    private readonly Random random;

    public RandomLoads(int seed)
    {
        random = new Random(seed);
        int ranks = random.Next(1, 7), experts = random.Next(1, 13), parts = random.Next(1, 4);
        // A rank may have nothing, and an expert's parts may lie together.
        Placement = new ExpertPlacement(ranks, [.. Enumerable.Range(0, experts * parts).Select(_ => random.Next(ranks))], parts);
        Neurons = new NeuronLayout(random.Next(1, 130));
        Rates = new ExpertRates(Rate(), Rate(), Rate(), Rate());
        var table = new LoadTable(Placement);
        Skew = random.Next(4);
        Tickets = [.. Enumerable.Range(0, ranks).Select(_ => Ticket(random.Next(0, 12), Math.Min(experts, random.Next(1, 5)), table.Levels))];
        Marks = [.. Tickets.Select(ticket => Enumerable.Range(0, ticket.Routing.Tokens).Select(_ => random.Next(3) > 0).ToArray())];

        double Rate() => Math.Pow(10, random.Next(6, 13));
    }

    public ExpertPlacement Placement { get; }

    public NeuronLayout Neurons { get; }

    public ExpertRates Rates { get; }

    public int Skew { get; }

    /// <summary>[ranks] each one's rows.</summary>
    public ExpertTicket[] Tickets { get; }

    /// <summary>[ranks][rows] whether each is marked.</summary>
    public bool[][] Marks { get; }

    /// <summary>[ranks][pairs] what thresholds that are the same everywhere decide.</summary>
    public Computation[][] Uniform => [.. Tickets.Select(ticket => uniform[ticket])];

    private readonly Dictionary<ExpertTicket, Computation[]> uniform = [];

    /// <summary>The table of a rank: its own rows, then the others' as their messages say, in an order of its own.</summary>
    public LoadTable TableOf(int rank)
    {
        var table = Own(rank);
        for (int level = 1; level < Tickets.Length; level++)
        {
            var other = Own((rank + level) % Tickets.Length);
            byte[] message = new byte[other.Bytes];
            other.Write(message);
            table.Merge(message);
        }

        return table;
    }

    public LoadTimes Times(LoadTable table) => new(table, Placement, Neurons, Hidden, weightBytes: 2, Rates);

    /// <summary>A rank's time, from what is decided of every pair alone.</summary>
    public double Seconds(int rank, Computation[][] decided)
    {
        HashSet<(int, bool)> read = [];
        long neurons = 0;
        for (int source = 0; source < Tickets.Length; source++)
        {
            var plan = Tickets[source].Routing;
            for (int i = 0; i < plan.Experts.Length; i++)
            {
                for (int part = plan.Experts[i] * Placement.Parts; part < (plan.Experts[i] + 1) * Placement.Parts; part++)
                {
                    if (Placement.RankOf[part] != rank || decided[source][i] == Computation.Drop)
                        continue;
                    read.Add((part, false));
                    neurons += Neurons.Major;
                    if (decided[source][i] != Computation.Full)
                        continue;
                    read.Add((part, true));
                    neurons += Neurons.Neurons - Neurons.Major;
                }
            }
        }

        double weights = 3.0 * Hidden * read.Sum(half => half.Item2 ? Neurons.Neurons - Neurons.Major : Neurons.Major);
        return Math.Max(weights * 2 / Rates.BytesPerSecond, 6.0 * Hidden * neurons / Rates.OperationsPerSecond);
    }

    /// <summary>[ranks][pairs] what is decided by levels of ranks.</summary>
    public Computation[][] Decide(int[] levels)
    {
        foreach (var ticket in Tickets)
            LayerBalance.Apply(ticket, Placement, levels);
        return [.. Tickets.Select(ticket => ticket.Routing.Computations.ToArray())];
    }

    private LoadTable Own(int rank)
    {
        var table = new LoadTable(Placement);
        table.Add(Tickets[rank].Routing, Tickets[rank].Levels, Neurons.Major, Neurons.Neurons - Neurons.Major, Marks[rank]);
        return table;
    }

    private ExpertTicket Ticket(int rows, int topK, int levels)
    {
        var ticket = new ExpertTicket();
        var plan = ticket.Routing;
        plan.Reset(rows, topK);
        ticket.Levels.Reset(plan.Experts.Length, levels);
        bool guard = random.Next(2) > 0, drops = random.Next(5) > 0;
        for (int token = 0; token < rows; token++)
        {
            int[] chosen = [.. Enumerable.Range(0, Placement.Experts).OrderBy(e => random.NextDouble() * (1 + e * Skew)).Take(topK)];
            float major = Score() / topK, minor = major + Score() / topK;
            for (int k = 0; k < topK; k++)
            {
                int i = token * topK + k;
                plan.Experts[i] = chosen[k];
                // Some lie on a threshold, or on a level of it.
                float score = random.Next(4) == 0 ? major * random.Next(9) / 8 : Score() / topK;
                var thresholds = new DropThresholds(major, minor);
                if (!drops)
                    continue;
                plan.Computations[i] = DropPolicy.Decide(score, k == 0, thresholds, guard);
                ticket.Levels.Set(i, score, k == 0, thresholds, guard);
            }
        }

        uniform[ticket] = plan.Computations.ToArray();
        return ticket;

        float Score() => random.Next(6) == 0 ? 0 : random.NextSingle();
    }
}
