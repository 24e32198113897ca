namespace DualSparse.Distributed.Measuring;

/// <summary>Carries a rank's stages out by messages, and counts what it sends.</summary>
internal sealed unsafe class StageRunner(RankGroup group, MessageOrder order)
{
    private readonly List<RankMessage> sent = [];

    /// <summary>Runs stages to their end; all ranks run the same ones at the same time.</summary>
    /// <param name="stages">The stages.</param>
    /// <param name="what">Their name, for the sentence about a lost peer.</param>
    /// <returns>Bytes sent.</returns>
    public long Run(IReadOnlyList<ExchangeStage> stages, string what)
    {
        // Whoever is ahead finds the next stage's room ready.
        var arriving = stages.Select(stage => stage.Receives.Select(t => (t.Step, Message: group.Receive(t.Peer, RankTag.Stage, (void*)t.Address, t.Bytes))).ToArray()).ToArray();
        long bytes = 0;
        for (int i = 0; i < stages.Count; i++)
        {
            int arrived = 0;
            stages[i].Work();
            foreach (var t in stages[i].Sends)
            {
                if (order == MessageOrder.Pairwise)
                {
                    FinishArriving(arriving[i], ref arrived, before: t.Step, what);
                    FinishSent(what);
                }

                sent.Add(group.Send(t.Peer, RankTag.Stage, (void*)t.Address, t.Bytes));
                bytes += t.Bytes;
            }

            FinishArriving(arriving[i], ref arrived, before: int.MaxValue, what);
        }

        FinishSent(what);
        return bytes;
    }

    private void FinishArriving((int Step, RankMessage Message)[] arriving, ref int arrived, int before, string what)
    {
        for (; arrived < arriving.Length && arriving[arrived].Step < before; arrived++)
            Finish(arriving[arrived].Message, what);
    }

    private void FinishSent(string what)
    {
        sent.ForEach(message => Finish(message, what));
        sent.Clear();
    }

    private void Finish(RankMessage message, string what)
    {
        group.Wait(message, what);
        message.Dispose();
    }
}
