import type { Migration } from './migration.ts'

/**
 * As `tapeline_advance` of migration 1, and it refuses to move an offset back: the range in between would be stored twice. Only a
 * write that says `back` may, since the log itself has become shorter. Processes of before say nothing and are refused too. The
 * function is replaced in place, so that a platform that runs meanwhile goes on.
 */
export const offsetsForward: Migration = {
  id: 6,
  name: '0006-offsets-forward',
  sql: `
create or replace function tapeline_advance(advances jsonb) returns void language plpgsql as $$
declare
  backwards jsonb;
  stale jsonb;
begin
  select jsonb_agg(jsonb_build_object('topic', topic, 'partition', partition)) into backwards
  from jsonb_to_recordset(advances) as a(
    topic text, partition integer, expected bigint, next bigint, back boolean)
  where next < expected and back is not true;
  if backwards is not null then
    raise exception 'an offset would go back' using errcode = 'TL002', detail = backwards::text;
  end if;
  with wanted as (
    select * from jsonb_to_recordset(advances) as a(
      topic text, topic_id text, partition integer, expected bigint, fence bigint, next bigint, memory jsonb)
  ), advanced as (
    update tapeline_offsets o
    set next_offset = w.next, memory = w.memory, written_at = now()
    from wanted w
    where o.topic_id = w.topic_id and o.partition = w.partition
      and o.next_offset = w.expected and o.fence = w.fence
    returning o.topic_id, o.partition
  )
  select jsonb_agg(jsonb_build_object('topic', w.topic, 'partition', w.partition)) into stale
  from wanted w
  where not exists (select from advanced a where a.topic_id = w.topic_id and a.partition = w.partition);
  if stale is not null then
    raise exception 'a claim is no longer valid' using errcode = 'TL001', detail = stale::text;
  end if;
end $$;`,
}
